/** Our reading of unit files against that of systemd itself, which tells what it ignores, and where. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { dropInFolders, parseName } from "./names.ts";
import { type Entry, parseUnitFile } from "./parse.ts";
import { splitWords } from "./words.ts";

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
const skip = hasSystemd ? false : "there is no systemd-analyze here";

/** What `systemd-analyze verify` says of files, given as name and text: the lines about each, `LINE: message`. */
function verify(files: ReadonlyMap<string, string>, ...units: string[]): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-units-"));
  try {
    for (const [name, text] of files) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const paths = (units.length > 0 ? units : [...files.keys()]).map((name) => join(folder, name));
    const environment = { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:`, LC_ALL: "C.UTF-8" };
    const argv = ["verify", "--man=no", "--generators=no", ...paths];
    const { stderr } = spawnSync("systemd-analyze", argv, { encoding: "utf8", env: environment });
    // systemd 252 has these words, 257 the others.
    const alike = stderr.replace(
      /Failed to parse Restart=(.*), ignoring: Invalid argument$/gm,
      "Failed to parse service restart specifier, ignoring: $1",
    );
    const said = alike.split("\n").filter((line) => line.startsWith(`${folder}/`));
    const parts = said.map((line) => /^([^:]+):(\d+: .*)$/.exec(line.slice(folder.length + 1)));
    return new Map(
      [...Map.groupBy(parts, (part) => part?.[1] ?? "")].map(([name, lines]) => [
        name,
        lines.map((part) => part?.[2] ?? ""),
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** systemd counts the line in which an assignment ends. */
function lastLines(entries: readonly Entry[]): Map<Entry, number> {
  const last = new Map<Entry, number>();
  let line = 0;
  for (const entry of entries) {
    line += entry.raw.match(/\r\n|\n\r|\n|\r|[^\r\n]$/g)?.length ?? 0;
    last.set(entry, line);
  }
  return last;
}

/** What systemd is to say of `text`, of what we read in it. */
function expected(text: string): string[] {
  const { unitFile, problems } = parseUnitFile("x.service", text);
  const lines = lastLines(unitFile.entries);
  return unitFile.entries.flatMap((entry) => {
    const line = lines.get(entry);
    const mine = problems.find((problem) => problem.line === entry.line && problem.column === entry.column);
    if (mine?.code === "UNIT_NOT_ASSIGNMENT") {
      return [
        `${line}: Missing ${entry.raw.trim().startsWith("=") ? "key name before '='" : "'='"}, ignoring line.`,
      ];
    }
    if (mine?.code === "UNIT_OUTSIDE_SECTION") return [`${line}: Assignment outside of section. Ignoring.`];
    if (entry.kind !== "option") return [];
    return entry.name === "Restart"
      ? [`${line}: Failed to parse service restart specifier, ignoring: ${entry.value}`]
      : [`${line}: Unknown key '${entry.name}' in section [${entry.section}], ignoring.`];
  });
}

const piece = fc.constantFrom(
  "[Unit]",
  "[Service]",
  "Key",
  "Restart=v",
  "=",
  " ",
  " ",
  "\\",
  "\\\\",
  "#",
  ";",
  "w x",
);
const lines = fc.array(
  fc.oneof(
    fc.array(piece, { maxLength: 5 }).map((parts) => parts.join("")),
    fc.constantFrom(
      "Restart=v \\",
      "Restart=a\\",
      "# c",
      "  ; c\\",
      "",
      " ",
      "[Service]",
      "[Unit]",
      "Key=1",
      "Restart=é",
    ),
  ),
  { minLength: 1, maxLength: 14 },
);
const lineEnd = fc.constantFrom("\n", "\n", "\n", "\r\n", "\r");

/** Without broken section headers, after which systemd reads no more of a file. */
const readable = fc
  .tuple(lines, lineEnd)
  // At the end of a file systemd counts one line more for what is still being continued.
  .map(([list, end]) => list.join(end) + end + end)
  .filter((text) => parseUnitFile("x", text).problems.every(({ code }) => code !== "UNIT_SECTION_HEADER"))
  // Restart= in [Unit] is unknown there.
  .filter((text) => !/\[Unit\]/.test(text) || !/Restart/.test(text));

describe("systemd-analyze reads as we do", { skip }, () => {
  test("lines, continuations, comments, sections", () => {
    const texts = fc.sample(readable, 80);
    const files = new Map(texts.map((text, index) => [`u${index}.service`, text]));
    const said = verify(files);
    for (const [name, text] of files)
      assert.deepEqual(said.get(name) ?? [], expected(text), JSON.stringify(text));
  });

  test("words, quotes and escapes", () => {
    const atom = fc.constantFrom(
      "a",
      "b c",
      " ",
      '"',
      "'",
      "\\x41",
      "\\303\\251",
      "\\u00e9",
      "\\s",
      "\\\\",
      '\\"',
      "d",
    );
    const value = fc.array(atom, { minLength: 1, maxLength: 8 }).map((parts) => `v${parts.join("")}`);
    const readableValue = value.filter((text) => !/(^|[^\\])(\\\\)*\\$/.test(text));
    const values = fc.sample(readableValue, 80);
    const files = new Map(
      values.map((text, index) => [`e${index}.service`, `[Service]\nEnvironment=${text}\n`]),
    );
    const said = verify(files);
    for (const [index, text] of values.entries()) {
      const { words, unbalanced } = splitWords(text.trim());
      const invalid = words.map((word) => `2: Invalid environment assignment, ignoring: ${word.text}`);
      const failed = unbalanced === null ? [] : [`2: Invalid syntax, ignoring: ${text.trim()}`];
      assert.deepEqual(said.get(`e${index}.service`) ?? [], [...invalid, ...failed], text);
    }
  });

  test("drop-ins: the order of their folders", () => {
    const stems = [
      "a-b-c@1",
      "a-b-c@",
      "a-b-c",
      "a-b-@1",
      "a-b-@x",
      "a-b-@",
      "a-b-",
      "a-@1",
      "a-@x",
      "a-@",
      "a-",
    ];
    const all = [...stems.map((stem) => `${stem}.service.d`), "service.d"];
    for (const unit of ["a-b-c@1.service", "a-b-c.service", "a-b-@x.service"]) {
      const name = parseName(unit);
      const folders = dropInFolders(name);
      const files = new Map([[name.template ?? unit, "[Service]\nExecStart=/bin/true\n"]]);
      // Of the files N.conf only the one in the most specific folder counts: the first N of our order have none.
      for (let rank = 0; rank <= folders.length; rank += 1) {
        const others = all.filter((folder) => !folders.slice(0, rank).includes(folder));
        for (const folder of others) files.set(`${folder}/${rank}.conf`, "[Service]\nBogus=1\n");
      }
      // The unit that was asked for comes first; files in service.d are told of again for every other service.
      const read = [...verify(files, unit).keys()]
        .filter((path) => path.endsWith(".conf"))
        .slice(0, folders.length);
      assert.deepEqual(
        read,
        folders.map((folder, rank) => `${folder}/${rank}.conf`),
        unit,
      );
    }
  });
});
