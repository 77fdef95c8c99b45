/** What the routes take and give, as JSON Schema; the host's own things are in src/host/schemas.ts. */
import { type TSchema, Type } from "typebox";
import {
  badTreeSchema,
  deploymentSchema,
  etcConflictSchema,
  healthReportSchema,
  historyEntrySchema,
  hostStatusSchema,
  packageDiffSchema,
  updateAvailableSchema,
  verdictSchema,
} from "../host/schemas.ts";

const text = Type.String();
const time = Type.String({ format: "date-time" });
const closed = { additionalProperties: false };

function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

const words = Type.Array(Type.String({ minLength: 1 }));
const reboot = Type.Optional(Type.Boolean({ description: "Reboot into it when it is ready" }));
const allowDowngrade = Type.Optional(
  Type.Boolean({ description: "Take a tree that is older than the booted one" }),
);
const name = Type.String({
  minLength: 1,
  description:
    "booted, staged, rollback, update, an index, a version, or a checksum of at least eight digits",
});

export const upgradeRequestSchema = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(["check", "stage", "reboot"], {
        description:
          "check: only look; stage (the default): make it ready for the next boot; reboot: and reboot into it",
      }),
    ),
    allowDowngrade,
  },
  closed,
);

export const rollbackRequestSchema = Type.Object({ reboot }, closed);

export const rebaseRequestSchema = Type.Object(
  {
    to: Type.String({
      minLength: 1,
      description: "A stream (testing), a ref (atoll/x86_64/testing) or remote:ref",
    }),
    reboot,
    allowDowngrade,
  },
  closed,
);

export const deployRequestSchema = Type.Object(
  {
    target: Type.String({ minLength: 1, description: "A version, or a checksum of at least eight digits" }),
    reboot,
  },
  closed,
);

export const pinRequestSchema = Type.Object({ deployment: name }, closed);

export const kargsRequestSchema = Type.Object(
  {
    append: Type.Optional(words),
    delete: Type.Optional(words),
    replace: Type.Optional(words),
    reboot,
    again: Type.Optional(
      Type.Boolean({ description: "Try arguments that are remembered as bad with this tree" }),
    ),
  },
  closed,
);

export const cleanupRequestSchema = Type.Object(
  {
    pending: Type.Optional(Type.Boolean({ description: "Drop the staged deployment" })),
    rollback: Type.Optional(Type.Boolean({ description: "Drop the rollback deployment" })),
  },
  closed,
);

export const usroverlayRequestSchema = Type.Object({}, closed);

export const errorBodySchema = Type.Object({
  code: Type.String({ description: "From docs/reference/errors.md; stable" }),
  message: text,
  next: Type.String({ description: "What to do now" }),
  parameters: Type.Record(text, Type.Union([text, Type.Number()])),
});

export const errorResponseSchema = Type.Object({ error: errorBodySchema });

export const operationResultSchema = Type.Object({
  changed: Type.Boolean({ description: "False: there was nothing to do" }),
  summary: text,
  deployment: orNull(deploymentSchema),
  update: orNull(updateAvailableSchema),
  packages: orNull(packageDiffSchema),
  conflicts: Type.Array(etcConflictSchema),
  reboot: Type.Enum(["not-needed", "needed", "started"]),
});

export const operationSchema = Type.Object({
  id: text,
  verb: Type.Enum([
    "upgrade",
    "rollback",
    "rebase",
    "deploy",
    "pin",
    "unpin",
    "kargs",
    "cleanup",
    "usroverlay",
  ]),
  state: Type.Enum(["running", "done", "failed", "cancelled"]),
  startedAt: time,
  endedAt: orNull(time),
  step: orNull(text),
  result: orNull(operationResultSchema),
  error: orNull(errorBodySchema),
});

export const operationEventSchema = Type.Union([
  Type.Object({ type: Type.Literal("step"), at: time, step: text }),
  Type.Object({ type: Type.Literal("detail"), at: time, detail: text }),
  Type.Object({ type: Type.Literal("result"), at: time, result: operationResultSchema }),
  Type.Object({ type: Type.Literal("error"), at: time, error: errorBodySchema }),
]);

export const statusResponseSchema = Type.Object({
  ...hostStatusSchema.properties,
  operation: orNull(operationSchema),
});

export const historyResponseSchema = Type.Object({
  entries: Type.Array(historyEntrySchema),
  bad: Type.Array(badTreeSchema),
});

export const healthResponseSchema = Type.Object({
  report: orNull(healthReportSchema),
  verdict: orNull(verdictSchema),
});

export const operationsResponseSchema = Type.Object({ operations: Type.Array(operationSchema) });

export const versionResponseSchema = Type.Object({ version: text, api: text });

export const historyQuerySchema = Type.Object(
  { limit: Type.Optional(Type.String({ pattern: "^[1-9][0-9]{0,3}$", description: "At most so many; 50" })) },
  closed,
);

export const healthQuerySchema = Type.Object(
  {
    fresh: Type.Optional(
      Type.Enum(["true", "false"], { description: "Run the checks now; changes nothing" }),
    ),
  },
  closed,
);

export const diffQuerySchema = Type.Object({ from: Type.Optional(name), to: Type.Optional(name) }, closed);

export const operationParametersSchema = Type.Object({ id: text }, closed);
