/**
 * How many views to encode a frame so that a stream keeps up: N from measured times, by the rule of
 * `maclip_runtime.stream.budget`. Frames are timed in rounds of ten, and a round counts by its second
 * longest.
 */

const ROUND = 10; // frames
const AIM = 0.8; // of the budget
const MOST_ROUNDS = 32;
const WORTH_IT = 1.1; // times N: less is no reason to rise

export class ViewBudget {
  /** @param {number} seconds that a frame may take */
  constructor(seconds) {
    this.seconds = seconds;
    this.count = 1;
    /** @type {number[]} */
    this.costs = [];
    this.patience = 1; // rounds before N may rise
    this.rounds = 0; // since N changed
    this.longest = 0; // of the rounds that count towards a rise
  }

  /**
   * Note what a frame cost, in seconds, and find N anew where a round is over.
   * @param {number} cost
   * @param {number} views V, which N does not exceed
   */
  record(cost, views) {
    this.count = Math.min(this.count, views);
    this.costs.push(cost);
    if (this.costs.length < ROUND) return;
    const [, second] = this.costs.sort((first, other) => other - first);
    this.costs = [];
    this.conclude(second, views);
  }

  /**
   * @param {number} cost
   * @param {number} views
   */
  conclude(cost, views) {
    this.rounds++;
    this.longest = Math.max(this.longest, cost);
    if (cost > this.seconds && this.count > 1) {
      this.patience = Math.min(2 * this.patience, MOST_ROUNDS);
      this.change(Math.max(1, this.allow(cost)));
    } else if (this.rounds >= this.patience) {
      const allowed = Math.min(this.allow(this.longest), views);
      this.change(allowed >= WORTH_IT * this.count ? allowed : this.count);
    }
  }

  /**
   * The views that fit into what is aimed at, were all of the cost in proportion to them.
   * @param {number} cost
   */
  allow(cost) {
    return Math.floor((this.count * AIM * this.seconds) / Math.max(cost, 1e-9));
  }

  /** @param {number} count */
  change(count) {
    this.count = count;
    this.rounds = 0;
    this.longest = 0;
  }
}
