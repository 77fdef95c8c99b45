import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "./names.ts";
import { applicableDropIns, Options, wordsOf } from "./options.ts";
import { parseUnitFile } from "./parse.ts";
import { type Problem, problemText } from "./problem.ts";

function optionsOfTexts(...texts: string[]): Options {
  return new Options(texts.map((text, index) => parseUnitFile(`${index}.conf`, text).unitFile));
}

function list(options: Options, section: string, name: string): string[] {
  return options.list(section, name).map(({ value }) => value);
}

test("an empty assignment takes back those before it, in lists and in single values", () => {
  const options = optionsOfTexts(
    "[Service]\nEnvironment=A=1\nRestart=no\nEnvironment=\nEnvironment=B=2\n",
    "[Service]\nRestart=\nEnvironment=C=3\n",
  );
  assert.deepEqual(list(options, "Service", "Environment"), ["B=2", "C=3"]);
  assert.equal(options.single("Service", "Environment")?.value, "C=3");
  assert.equal(options.single("Service", "Restart"), null);
  assert.equal(options.single("Service", "Type"), null);
});

test("dependencies are never taken back, as in systemd", () => {
  const options = optionsOfTexts(
    "[Unit]\nAfter=a.service\nDocumentation=x\n",
    "[Unit]\nAfter=\nAfter=b.service\nDocumentation=\n",
  );
  assert.deepEqual(list(options, "Unit", "After"), ["a.service", "b.service"]);
  assert.deepEqual(list(options, "Unit", "Documentation"), []);
});

test("sections of one name are one section, in every file", () => {
  const options = optionsOfTexts("[A]\nx=1\n[B]\nx=2\n[A]\nx=3\n", "[A]\nx=4\n[C]\n");
  assert.deepEqual(list(options, "A", "x"), ["1", "3", "4"]);
  assert.ok(options.has("B") && !options.has("C"), "a section without options is none");
});

function dropIns(
  unit: string,
  files: Readonly<Record<string, string>>,
): { read: string[]; problems: string[] } {
  const problems: Problem[] = [];
  const parsed = Object.entries(files).map(([path, text]) => parseUnitFile(path, text).unitFile);
  const read = applicableDropIns(parseName(unit), parsed, problems).map(({ file }) => file);
  return { read, problems: problems.map(problemText) };
}

test("drop-ins apply by file name, and the more specific of two with one name", () => {
  const { read, problems } = dropIns("web-a@1.service", {
    "web-a@.service.d/20-b.conf": "",
    "service.d/30-c.conf": "",
    "units/web-a@1.service.d/20-b.conf": "",
    "web-.service.d/10-a.conf": "",
    "service.d/B.conf": "",
  });
  assert.deepEqual(read, [
    "web-.service.d/10-a.conf",
    "units/web-a@1.service.d/20-b.conf",
    "service.d/30-c.conf",
    "service.d/B.conf",
  ]);
  assert.deepEqual(problems, []);
});

test("files that are no drop-ins of the unit are refused", () => {
  const { read, problems } = dropIns("web.service", {
    "db.service.d/1.conf": "",
    "web.service.d/readme.txt": "",
    "1.conf": "",
  });
  assert.deepEqual(read, []);
  assert.deepEqual(problems, [
    "db.service.d/1.conf:1:1: db.service.d/1.conf is no drop-in of web.service",
    "web.service.d/readme.txt:1:1: web.service.d/readme.txt is no drop-in of web.service",
    "1.conf:1:1: 1.conf is no drop-in of web.service",
  ]);
});

test("words have places across continued lines; quoting mistakes are found where they are", () => {
  const options = optionsOfTexts('[A]\nx = a \\\n   "b c" \\\n# no\n  d\ny=a \\q "b\n');
  const problems: Problem[] = [];
  const [x] = options.list("A", "x");
  const [y] = options.list("A", "y");
  assert.ok(x && y);
  assert.deepEqual(
    wordsOf(x, problems).map(({ text, place }) => `${text} ${place.line}:${place.column}`),
    ["a 2:5", "b c 3:4", "d 5:3"],
  );
  assert.deepEqual(wordsOf(y, problems), []);
  assert.deepEqual(
    problems.map(({ code, line, column }) => [code, line, column]),
    [["UNIT_QUOTING", 6, 8]],
  );
});
