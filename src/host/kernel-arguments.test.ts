import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../errors.ts";
import { editKernelArguments, kernelArgumentDiff } from "./kernel-arguments.ts";

const current = ["rw", "console=tty0", "console=ttyS0,115200", "panic=5", "mitigations=auto,nosmt"];

test("deletes, replaces, appends, in this order", () => {
  const edited = editKernelArguments(current, {
    append: ["quiet"],
    delete: ["panic"],
    replace: ["mitigations=off"],
  });
  assert.deepEqual(edited, ["rw", "console=tty0", "console=ttyS0,115200", "mitigations=off", "quiet"]);
});

test("of several with one key, the value picks one", () => {
  const deleted = editKernelArguments(current, { delete: ["console=tty0"] });
  assert.deepEqual(deleted, ["rw", "console=ttyS0,115200", "panic=5", "mitigations=auto,nosmt"]);
  const replaced = editKernelArguments(current, { replace: ["console=tty0=hvc0"] });
  assert.equal(replaced[1], "console=hvc0");
});

test("what is not there, or is not clear, is refused by name", () => {
  const refusals = [
    [{ delete: ["debug"] }, "KARG_UNKNOWN"],
    [{ delete: ["panic=6"] }, "KARG_UNKNOWN"],
    [{ replace: ["debug=1"] }, "KARG_UNKNOWN"],
    [{ delete: ["console"] }, "KARG_AMBIGUOUS"],
    [{ replace: ["console=hvc0"] }, "KARG_AMBIGUOUS"],
    [{ append: ["two words"] }, "KARG_INVALID"],
    [{ append: ["a=$(reboot)"] }, "KARG_INVALID"],
    [{ append: ["=x"] }, "KARG_INVALID"],
    [{ append: ["ostree=/x"] }, "KARG_INVALID"],
    [{ append: ["atoll.boot=good"] }, "KARG_INVALID"],
  ] as const;
  for (const [changes, code] of refusals) {
    assert.throws(
      () => editKernelArguments(current, changes),
      (error) => hasCode(error, code),
      JSON.stringify(changes),
    );
  }
});

const word = fc.stringMatching(/^[a-z]{1,4}(=[a-z0-9]{1,3})?$/).filter((text) => !text.startsWith("ostree"));

test("what was appended can be deleted again, and nothing else has changed", () => {
  fc.assert(
    fc.property(fc.uniqueArray(word), word, (list, added) => {
      fc.pre(!list.includes(added));
      const longer = editKernelArguments(list, { append: [added] });
      assert.deepEqual(kernelArgumentDiff(list, longer), { added: [added], removed: [] });
      assert.deepEqual(editKernelArguments(longer, { delete: [longer.at(-1) ?? ""] }), list);
    }),
  );
});

test("the difference counts words, not keys", () => {
  assert.deepEqual(kernelArgumentDiff(["a", "a", "b"], ["a", "c"]), { added: ["c"], removed: ["a", "b"] });
});
