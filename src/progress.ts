/** Where long work says what it is doing. The CLI draws it; the API sends it; tests collect it. */
export interface Progress {
  /** A new step begins; the one before it is done. `step` is a sentence fragment: "composing the tree". */
  step(step: string): void;
  /** Something to show beside the running step: a count, a file, a percentage. */
  detail(text: string): void;
}

/** A Progress that shows nothing. */
export const silent: Progress = { step: () => {}, detail: () => {} };
