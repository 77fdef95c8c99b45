import { test } from "node:test";
import { openTestBed, type TestBed } from "./bed.ts";
import type { TestMachine } from "./machine.ts";

/** Runs one step of a scenario as a test of its own; what comes after a step that failed is not run. */
export type Step = (name: string, work: () => Promise<void>) => Promise<void>;

class StepFailed extends Error {}

/**
 * A story told on one machine: its steps are tests, in order, each from where the one before left the machine, because
 * a boot for each would take hours. When a step fails, the machine's logs are kept and the story ends.
 * `name` also names the machine: lower-case letters and digits.
 */
export function scenario(
  name: string,
  body: (step: Step, bed: TestBed, machine: TestMachine) => Promise<void>,
): void {
  test(name, async (context) => {
    const bed = await openTestBed(name);
    const machine = bed.machine(name);
    const step: Step = async (title, work) => {
      let failed = false;
      await context.test(title, async () => {
        try {
          await work();
        } catch (error) {
          failed = true;
          await machine.keepEvidence();
          throw error;
        }
      });
      if (failed) throw new StepFailed();
    };
    try {
      await body(step, bed, machine);
    } catch (error) {
      // The step itself has told what failed.
      if (!(error instanceof StepFailed)) throw error;
    } finally {
      await machine.remove();
      await bed.close();
    }
  });
}
