/**
 * Errors a user can act on, worded as the Python package words them: a cause that names the file, and a
 * remedy.
 */

export class MaclipError extends Error {
  /**
   * @param {string} cause
   * @param {string} [remedy]
   */
  constructor(cause, remedy = "") {
    super(remedy ? `${cause}; ${remedy}` : cause);
    this.reason = cause;
    this.remedy = remedy;
  }

  /**
   * The same error, its cause preceded by the file it is about.
   * @param {string} place
   * @returns {this}
   */
  within(place) {
    const Kind = /** @type {new (cause: string, remedy: string) => this} */ (this.constructor);
    return new Kind(`${place}: ${this.reason}`, this.remedy);
  }
}

/** A bundle that is missing, damaged, or made for another version. */
export class BundleError extends MaclipError {}

/** A picture that cannot be scored; others still can. */
export class PictureError extends MaclipError {}
