import { text } from "node:stream/consumers";
import { asAtollError } from "../errors.ts";
import { layTree, type ShapePlan, shapeTree } from "./shape.ts";

/**
 * The part of composing that touches a tree's files: a program of its own, as it runs inside the toolbox's namespace,
 * where their owners are what they should be. Reads `{task, plan, …}` as JSON, writes `{result}` or `{error}`.
 * src/compose/tree.ts starts it, with the same code that it is running itself.
 */
interface Request {
  readonly task: "lay" | "shape";
  readonly plan: ShapePlan;
  readonly kernelVersion: string;
}

async function main(): Promise<void> {
  const request: Request = JSON.parse(await text(process.stdin));
  const work =
    request.task === "lay" ? layTree(request.plan) : shapeTree(request.plan, request.kernelVersion);
  const answer = await work.then(
    (result) => ({ result }),
    (thrown: unknown) => {
      const { code, parameters } = asAtollError(thrown);
      return { error: { code, parameters } };
    },
  );
  process.stdout.write(JSON.stringify(answer));
}

await main();
