/**
 * The model's types as JSON Schema, for what comes from a file or goes over the wire.
 * schemas.test.ts proves that each says the same as its type in model.ts.
 */
import { type TSchema, Type } from "typebox";

const text = Type.String();
const time = Type.String({ format: "date-time" });
const bytes = Type.Integer({ minimum: 0 });
const texts = Type.Array(text);

function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

function oneOf<const T extends string[]>(values: readonly [...T]) {
  return Type.Enum(values);
}

export const signatureSchema = Type.Object(
  {
    valid: Type.Boolean(),
    problem: orNull(oneOf(["unsigned", "unknown-key", "revoked-key", "expired", "bad", "unreadable"])),
    keyId: orNull(text),
    who: orNull(text),
    signedAt: orNull(time),
  },
  { description: "Who vouches for a commit, by the keys that the booted tree trusts" },
);

export const deploymentSchema = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: "Place in boot order: 0 boots next" }),
    id: Type.String({ description: "<checksum>.<serial>" }),
    checksum: text,
    serial: Type.Integer(),
    version: orNull(text),
    timestamp: time,
    booted: Type.Boolean(),
    staged: Type.Boolean({ description: "Written out at shutdown; boots next" }),
    pinned: Type.Boolean(),
    rollback: Type.Boolean({ description: "The one that `rollback` goes to" }),
    unlocked: Type.Boolean({ description: "A writable layer lies over /usr" }),
    kernelArguments: orNull(texts),
    bootId: orNull(text),
    treeId: orNull(text),
    signature: signatureSchema,
    origin: orNull(Type.String({ description: "`remote:ref` that upgrades follow" })),
  },
  { description: "A tree installed on this host" },
);

const packageVersionSchema = Type.Object({ name: text, version: text, arch: text });
const packageChangeSchema = Type.Object({ name: text, arch: text, from: text, to: text });

export const packageDiffSchema = Type.Object(
  {
    added: Type.Array(packageVersionSchema),
    removed: Type.Array(packageVersionSchema),
    upgraded: Type.Array(packageChangeSchema),
    downgraded: Type.Array(packageChangeSchema),
  },
  { description: "Packages of one tree against another's, each list sorted by name" },
);

const treeSchema = Type.Object({ checksum: text, version: orNull(text), timestamp: time });

export const treeDiffSchema = Type.Object({
  from: treeSchema,
  to: treeSchema,
  packages: orNull(packageDiffSchema),
});

export const updateAvailableSchema = Type.Object(
  {
    checksum: text,
    version: orNull(text),
    timestamp: time,
    origin: text,
    signature: signatureSchema,
    size: orNull(bytes),
    packages: orNull(packageDiffSchema),
    refusal: orNull(Type.Object({ code: text, message: text })),
    checkedAt: time,
  },
  { description: "What the remote offers beyond the booted tree, as of the last check" },
);

export const healthCheckSchema = Type.Object({
  name: text,
  required: Type.Boolean({ description: "Whether its failure makes the host unwell" }),
  outcome: oneOf(["passed", "failed", "skipped"]),
  summary: text,
  detail: texts,
  durationMs: Type.Integer({ minimum: 0 }),
});

export const healthReportSchema = Type.Object({
  outcome: oneOf(["well", "unwell"]),
  startedAt: time,
  endedAt: time,
  checks: Type.Array(healthCheckSchema),
  reasons: texts,
});

const bootKindSchema = oneOf(["good", "chosen", "trial", "fallback", "unmanaged"]);

export const trialSchema = Type.Object(
  {
    state: oneOf([
      "unmanaged",
      "good",
      "chosen",
      "on-trial",
      "judged-well",
      "judged-unwell",
      "fallen-back",
      "remembered",
      "undeployed",
      "settled",
    ]),
    bootId: orNull(text),
    attempt: orNull(Type.Integer({ minimum: 1, maximum: 3 })),
    tries: Type.Integer(),
    failedBootId: orNull(text),
  },
  { description: "Where the machine stands between a change and its verdict" },
);

export const verdictSchema = Type.Object(
  {
    outcome: oneOf(["well", "unwell"]),
    at: time,
    boot: bootKindSchema,
    bootId: orNull(text),
    attempt: orNull(Type.Integer()),
    reasons: texts,
  },
  { description: "The decision on this boot; also /run/atoll/verdict.json" },
);

export const failedBootSchema = Type.Object({
  attempt: orNull(Type.Integer()),
  startedAt: orNull(time),
  reasons: texts,
  log: texts,
});

export const badTreeSchema = Type.Object(
  {
    checksum: text,
    version: orNull(text),
    kernelArguments: texts,
    bootId: text,
    blame: Type.Enum(["tree", "pair"], {
      description:
        "`tree`: it alone was new, and is bad with any arguments. `pair`: the two are bad together",
    }),
    at: time,
    reasons: texts,
    boots: Type.Array(failedBootSchema),
    askedAgain: Type.Boolean({ description: "Asked for again by name since" }),
  },
  { description: "A deployment that fell back; never tried again unless asked for by name" },
);

const changeSchema = oneOf(["changed", "removed", "added"]);

export const etcConflictSchema = Type.Object(
  { path: text, here: changeSchema, tree: changeSchema },
  { description: "A file in /etc that both the owner and the new tree changed; the owner's stays" },
);

export const historyEntrySchema = Type.Object({
  at: time,
  kind: oneOf([
    "boot",
    "verdict",
    "staged",
    "restaged",
    "rolled-back",
    "kernel-arguments",
    "fallback",
    "pinned",
    "unpinned",
    "cleaned",
    "unlocked",
    "refused",
    "interrupted",
  ]),
  summary: text,
  checksum: orNull(text),
  version: orNull(text),
  bootId: orNull(text),
  reasons: texts,
  conflicts: Type.Array(etcConflictSchema),
  kernelArguments: orNull(Type.Object({ added: texts, removed: texts })),
});

export const hostStatusSchema = Type.Object({
  hostname: text,
  boot: Type.String({ description: "The kernel's name for this boot" }),
  bootedAt: time,
  deployments: Type.Array(deploymentSchema),
  remotes: Type.Array(Type.Object({ name: text, url: text })),
  trial: trialSchema,
  verdict: orNull(verdictSchema),
  update: orNull(updateAvailableSchema),
  updateProblem: orNull(Type.Object({ code: text, message: text, at: time })),
  bad: Type.Array(badTreeSchema),
  conflicts: Type.Array(etcConflictSchema),
  recovering: Type.Boolean(),
});
