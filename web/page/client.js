/** The page's end of the worker: a request is a promise. */

/** @typedef {(done: number, total: number) => void} Report */

export class Client {
  constructor() {
    // A worker has the policy of the address that it is loaded from, which a static server may not send.
    // One from a blob has the page's own, so that nothing leaves from there, either.
    const module = JSON.stringify(new URL("worker.js", import.meta.url).href);
    const address = URL.createObjectURL(new Blob([`import ${module};`], { type: "text/javascript" }));
    /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void, report: Report}>} */
    this.waiting = new Map();
    this.next = 0;
    this.worker = new Worker(address, { type: "module" });
    this.ready = new Promise((resolve, reject) => {
      this.worker.addEventListener("message", ({ data }) =>
        data.ready ? resolve(undefined) : this.settle(data),
      );
      this.worker.addEventListener("error", (event) =>
        reject(new Error(event.message || "the worker did not load")),
      );
    });
  }

  /**
   * @param {string} task one of the worker's
   * @param {object} request
   * @param {{report?: Report, transfer?: Transferable[]}} [options]
   * @returns {Promise<any>} raises what the worker raised
   */
  async ask(task, request, { report = () => {}, transfer = [] } = {}) {
    await this.ready;
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, report });
      this.worker.postMessage({ id, task, ...request }, transfer);
    });
  }

  /** @param {any} reply */
  settle({ id, result, error, progress }) {
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    if (progress) {
      waiting.report(progress.done, progress.total);
      return;
    }
    this.waiting.delete(id);
    if (error) waiting.reject(new Error(error));
    else waiting.resolve(result);
  }
}
