import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { projectRoot } from "../paths.ts";

const program = join(projectRoot, "os/files/usr/sbin/grub-mkconfig");

interface Entry {
  readonly title: string;
  readonly version: number;
  readonly options: string;
}

describe("grub-mkconfig", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "atoll-grub-"));
    mkdirSync(join(folder, "entries"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function generate(entries: readonly Entry[]): string {
    for (const { title, version, options } of entries) {
      const lines = [
        `title ${title}`,
        `version ${version}`,
        `options ${options}`,
        "linux /boot/ostree/atoll-1/vmlinuz",
        "initrd /boot/ostree/atoll-1/initramfs.img",
      ];
      writeFileSync(join(folder, "entries", `ostree-${version}.conf`), `${lines.join("\n")}\n`);
    }
    const output = join(folder, "grub.cfg");
    execFileSync("sh", [program, "-o", output]);
    return readFileSync(output, "utf8");
  }

  const first: Entry = {
    title: "Atoll 1",
    version: 1,
    options: "root=LABEL=atoll-root quiet ostree=/ostree/boot.1/atoll/aa/1",
  };

  test("numbers entries from the newest, and names the first good one as the one to go back to", () => {
    const menu = generate([
      first,
      { title: "Atoll 10", version: 10, options: "quiet ostree=/ostree/boot.1/atoll/bb/0" },
      { title: "Atoll 9", version: 9, options: "quiet ostree=/ostree/boot.1/atoll/cc/0" },
    ]);
    const titles = [...menu.matchAll(/^menuentry '(.*)' --id (\S+)/gm)].map((match) => match.slice(1));
    assert.deepEqual(titles, [
      ["Atoll 10", "ostree-0"],
      ["Atoll 9", "ostree-1"],
      ["Atoll 1", "ostree-2"],
    ]);
    assert.match(
      menu,
      /^source '\/ostree\/boot\.1\/atoll\/bb\/0\/usr\/lib\/atoll\/boot-id\.cfg'\nset atoll_id0=/m,
    );
    assert.match(menu, /"\$atoll_id1" = "\$atoll_good" \]; then set atoll_fallback=1/);
    assert.doesNotMatch(menu, /atoll_id0" = "\$atoll_good/);
  });

  test("an entry that was chosen over the one that was due says so, and is no reason to reboot", () => {
    const menu = generate([first]);
    assert.match(menu, /!= ostree-0 \]; then\n {4}set atoll_boot=chosen\n {4}set atoll_failed=""\n/);
    assert.match(menu, /if \[ "\$atoll_boot" != good -a "\$atoll_boot" != chosen \]; then\n {4}echo/);
  });

  test("hashes the arguments without ostree=, their blanks made one", () => {
    const hash = createHash("sha256").update("root=LABEL=atoll-root quiet").digest("hex").slice(0, 12);
    const spaced = { ...first, options: "root=LABEL=atoll-root  ostree=/ostree/boot.0/atoll/zz/0   quiet" };
    for (const entry of [first, spaced]) {
      assert.ok(generate([entry]).includes(`set atoll_id0="$atoll_tree-${hash}"`));
    }
  });

  test("keeps GRUB from reading anything into kernel arguments", () => {
    const menu = generate([{ ...first, options: `${first.options} a=$x;{b}|c d='e' "f=g h" i\\x2dj=*` }]);
    const line = /^ {2}if linux (.*); then$/m.exec(menu)?.[1] ?? "";
    assert.ok(line.includes(String.raw`'a=$x;{b}|c' 'd='\''e'\''' 'f=g h' 'i\x2dj=*' "atoll.id=`), line);
  });

  test("every word comes through the quoting as the shell, whose rules GRUB shares here, reads it", () => {
    const word = fc.stringMatching(/^[!#-~]{1,12}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
        const menu = generate([{ ...first, options: ["ostree=/o", ...words].join(" ") }]);
        const quoted = /^ {2}if linux (.*) "atoll\.id=/m.exec(menu)?.[1] ?? "";
        const read = execFileSync("sh", ["-c", `printf '%s\\n' ${quoted}`]).toString();
        assert.deepEqual(read.trimEnd().split("\n").slice(2), words);
      }),
      { numRuns: 20 },
    );
  });

  test("fails, and leaves no menu, when an entry has no kernel or no deployment", () => {
    const refusals: readonly (readonly [string, RegExp])[] = [
      ["title X\nversion 1\noptions ostree=/o\n", /ostree-1\.conf: no kernel/],
      ["title X\nversion 1\nlinux /vmlinuz\noptions quiet\n", /X: no ostree=/],
    ];
    for (const [text, message] of refusals) {
      writeFileSync(join(folder, "entries/ostree-1.conf"), text);
      const output = join(folder, "grub.cfg");
      const { status, stderr } = spawnSync("sh", [program, "-o", output], { encoding: "utf8" });
      assert.notEqual(status, 0);
      assert.match(stderr, message);
      assert.throws(() => readFileSync(output), /ENOENT/);
    }
  });
});
