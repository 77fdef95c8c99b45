import { test } from "node:test";
import type { Static, TSchema } from "typebox";
import type * as model from "./model.ts";
import * as schemas from "./schemas.ts";

/** `T` without `readonly`, all the way down: schemas do not speak of it. */
type Mutable<T> = T extends readonly (infer Item)[]
  ? Mutable<Item>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Mutable<T[Key]> }
    : T;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only when the schema and the type say the same. */
function says<T>(): <S extends TSchema>(schema: S, same: Same<Mutable<Static<S>>, Mutable<T>>) => void {
  return () => {};
}

test("each schema says the same as its type", () => {
  says<model.Signature>()(schemas.signatureSchema, true);
  says<model.Deployment>()(schemas.deploymentSchema, true);
  says<model.PackageDiff>()(schemas.packageDiffSchema, true);
  says<model.TreeDiff>()(schemas.treeDiffSchema, true);
  says<model.UpdateAvailable>()(schemas.updateAvailableSchema, true);
  says<model.HealthCheck>()(schemas.healthCheckSchema, true);
  says<model.HealthReport>()(schemas.healthReportSchema, true);
  says<model.Trial>()(schemas.trialSchema, true);
  says<model.Verdict>()(schemas.verdictSchema, true);
  says<model.FailedBoot>()(schemas.failedBootSchema, true);
  says<model.BadTree>()(schemas.badTreeSchema, true);
  says<model.EtcConflict>()(schemas.etcConflictSchema, true);
  says<model.HistoryEntry>()(schemas.historyEntrySchema, true);
  says<model.HostStatus>()(schemas.hostStatusSchema, true);
});
