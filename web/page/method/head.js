/**
 * The head of MA-CLIP: from image features to quality (sections 3 to 6 of the method), as
 * `maclip_runtime.method` has it in NumPy. The features are an encoder's float32; sums are float64.
 *
 * @typedef {{alpha: number, similarity: {base: number}, magnitude: {base: number, boxcox_lambda:
 *   number}}} Head
 * @typedef {{prompts: Float32Array, scored: boolean[], features: number, logitScale: number, head: Head}}
 *   Method
 *   prompts `[K, 2, D]`, unit length, (good, bad) per pair
 * @typedef {{score: number, similarity: number, magnitude: number, weight: number, attributes: number[]}}
 *   Quality
 *   of a view, or as means over views; `weight` is the similarity cue's
 */

const STD_FLOOR = 1e-6; // the published method's guard in the denominator
const NORM_FLOOR = 1e-12; // keeps the direction of an all-zero feature defined

/**
 * The quality of each view.
 * @param {Float32Array} features `[V, D]`, unnormalised
 * @param {Method} method
 * @returns {Quality[]}
 */
export function scoreViews(features, method) {
  const views = features.length / method.features;
  return Array.from({ length: views }, (_, view) =>
    scoreView(features.subarray(view * method.features, (view + 1) * method.features), method),
  );
}

/**
 * The means over views: the frame's quality (section 6).
 * @param {Quality[]} views
 * @returns {Quality}
 */
export function averageViews(views) {
  const mean = (/** @type {(view: Quality) => number} */ value) =>
    views.reduce((sum, view) => sum + value(view), 0) / views.length;
  return {
    score: mean((view) => view.score),
    similarity: mean((view) => view.similarity),
    magnitude: mean((view) => view.magnitude),
    weight: mean((view) => view.weight),
    attributes: views[0].attributes.map((_, pair) => mean((view) => view.attributes[pair])),
  };
}

/**
 * @param {Float32Array} features `[D]`
 * @param {Method} method
 * @returns {Quality}
 */
function scoreView(features, method) {
  const attributes = measureAttributes(features, method);
  const counted = attributes.filter((_, pair) => method.scored[pair]);
  const similarity = counted.reduce((sum, value) => sum + value, 0) / counted.length;
  const magnitude = measureMagnitude(features, method.head.magnitude.boxcox_lambda);
  const weight = weighSimilarity(similarity - magnitude, method.head);
  return {
    score: weight * similarity + (1 - weight) * magnitude,
    similarity,
    magnitude,
    weight,
    attributes,
  };
}

/**
 * Section 3: the probability of the good prompt of each pair, a softmax over the two.
 * @param {Float32Array} features
 * @param {Method} method
 */
function measureAttributes(features, method) {
  const norm = Math.max(Math.hypot(...features), NORM_FLOOR);
  const cosine = (/** @type {number} */ prompt) => {
    let product = 0;
    for (let channel = 0; channel < features.length; channel++) {
      product += features[channel] * method.prompts[prompt * features.length + channel];
    }
    return product / norm;
  };
  return method.scored.map((_, pair) => {
    const margin = Math.exp(method.logitScale) * (cosine(2 * pair + 1) - cosine(2 * pair));
    return 1 / (1 + Math.exp(margin));
  });
}

/**
 * Section 4: Box-Cox of the magnitudes over their unbiased standard deviation, averaged over the channels.
 * @param {Float32Array} features
 * @param {number} lambda
 */
function measureMagnitude(features, lambda) {
  const magnitude = Float64Array.from(features, Math.abs);
  const mean = magnitude.reduce((sum, value) => sum + value, 0) / magnitude.length;
  const squares = magnitude.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const spread = Math.sqrt(squares / (magnitude.length - 1)) + STD_FLOOR;
  const transformed = magnitude.map((value) => {
    const log = Math.log1p(value / spread);
    return lambda === 0 ? log : Math.expm1(lambda * log) / lambda;
  });
  return transformed.reduce((sum, value) => sum + value, 0) / transformed.length;
}

/**
 * Section 5: the weight of the similarity cue, a softmax over (base + alpha d, base - alpha d).
 * @param {number} difference d, similarity minus magnitude
 * @param {Head} head
 */
function weighSimilarity(difference, head) {
  const similarity = head.similarity.base + head.alpha * difference;
  const magnitude = head.magnitude.base - head.alpha * difference;
  return 1 / (1 + Math.exp(magnitude - similarity));
}
