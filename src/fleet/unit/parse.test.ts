import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { fileText, longestLine, optionsOf, parseUnitFile, placeInValue } from "./parse.ts";

/** `Section.Name=value` of every option, as systemd reads it. */
function read(text: string): string[] {
  return optionsOf(parseUnitFile("a.service", text).unitFile).map(
    ({ section, name, value }) => `${section}.${name}=${value}`,
  );
}

function problems(text: string): string[] {
  return parseUnitFile("a.service", text).problems.map(
    ({ code, severity, line, column }) => `${severity} ${code} ${line}:${column}`,
  );
}

/** Texts out of what matters in unit files, more likely to be odd than random characters. */
const unitText = fc
  .array(
    fc.constantFrom(
      "[Unit]",
      "[Service]",
      "[",
      "]",
      "Key",
      "=",
      "=",
      "value",
      " ",
      "\t",
      "\\",
      "\\",
      "#",
      ";",
      "\n",
      "\n",
      "\n",
      "\r\n",
      "\r",
      '"',
      "\u00e9",
      "\uFEFF",
      "\u{1F30D}",
      "x y",
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));

describe("parseUnitFile", () => {
  test("gives back every byte of any text", () => {
    fc.assert(
      fc.property(fc.oneof(unitText, fc.string()), (text) => {
        assert.equal(fileText(parseUnitFile("a.service", text).unitFile), text);
      }),
    );
  });

  test("says the place of each name and value", () => {
    fc.assert(
      fc.property(unitText, (text) => {
        const lines = text.split(/\r\n|\n\r|\n|\r/);
        for (const option of optionsOf(parseUnitFile("a.service", text).unitFile)) {
          const { line, column, name, value } = option;
          const shown = lines[line - 1]?.slice(column - 1) ?? "";
          assert.ok(shown.startsWith(name.charAt(0)), JSON.stringify(text));
          for (let offset = 0; offset < value.length; offset += 1) {
            const place = placeInValue(option, offset);
            const character = lines[place.line - 1]?.charAt(place.column - 1);
            // The backslash that continues a line is read as a blank.
            assert.ok(
              character === value[offset] || (character === "\\" && value[offset] === " "),
              JSON.stringify(text),
            );
          }
        }
      }),
    );
  });

  test("keeps order and duplicates, trims, takes # and ; for comments", () => {
    const text = "# c\n[A]\n x = 1 \nx=2\n\n; c\n\t# c\n[B]\ny=a=b # no comment\n[A]\nz=\n";
    assert.deepEqual(read(text), ["A.x=1", "A.x=2", "B.y=a=b # no comment", "A.z="]);
    assert.deepEqual(problems(text), []);
  });

  test("joins continued lines, and skips comments among them", () => {
    assert.deepEqual(read("[A]\nx=1 \\\n   2\\\n# c \\\n  ; c\n3\ny=4\n"), ["A.x=1     2 3", "A.y=4"]);
    assert.deepEqual(
      read("[A]\nx=1\\\\\ny=2"),
      ["A.x=1\\\\", "A.y=2"],
      "an escaped backslash continues nothing",
    );
    assert.deepEqual(read("[A]\nx=1 \\\n\ny=2"), ["A.x=1", "A.y=2"], "a blank line ends it");
    assert.deepEqual(read("[A]\nx=1 \\"), ["A.x=1"]);
    assert.deepEqual(read("# c \\\n[A]\nx=1"), ["A.x=1"], "comments are not continued");
  });

  test("takes every kind of line end, and a byte order mark", () => {
    assert.deepEqual(read("\uFEFF[A]\r\nx=1\ry=2\n\rz=3"), ["A.x=1", "A.y=2", "A.z=3"]);
  });

  test("refuses what systemd or fleet would refuse", () => {
    const rows: [string, string][] = [
      ["[A\n", "error UNIT_SECTION_HEADER 1:1"],
      ["[A] x\n", "error UNIT_SECTION_HEADER 1:1"],
      ["[]\n", "error UNIT_SECTION_HEADER 1:1"],
      ['["A"]\n', "error UNIT_SECTION_HEADER 1:1"],
      ["[A]\n  word\n", "error UNIT_NOT_ASSIGNMENT 2:3"],
      ["[A]\n=1\n", "error UNIT_NOT_ASSIGNMENT 2:1"],
      ["x=1\n[A]\n", "warning UNIT_OUTSIDE_SECTION 1:1"],
      ["[A]\nx=\0\n", "error UNIT_NUL 2:1"],
    ];
    for (const [text, expected] of rows) assert.deepEqual(problems(text), [expected], JSON.stringify(text));
  });

  test("takes lines of up to 1 MiB, as systemd does; fleet's limit was 2048 bytes", () => {
    const line = (bytes: number): string => `[A]\nx=${"y".repeat(bytes - 2)}\n`;
    assert.deepEqual(problems(line(2049)), []);
    assert.deepEqual(problems(line(longestLine - 1)), []);
    assert.deepEqual(problems(line(longestLine)), ["error UNIT_LINE_TOO_LONG 2:1"]);
    const half = "é".repeat(longestLine / 4);
    assert.deepEqual(
      problems(`[A]\nx=${half}\\\n${half}\n`),
      ["error UNIT_LINE_TOO_LONG 2:1"],
      "bytes, of all lines",
    );
  });
});
