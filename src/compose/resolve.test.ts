import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrintUris, parseStanzas } from "./resolve.ts";

test("what apt would fetch is read with epochs, whatever else apt says", () => {
  const text = [
    "'http://deb.debian.org/debian/pool/main/g/glibc/libc6_2.41-12%2bdeb13u4_amd64.deb' libc6_2.41-12+deb13u4_amd64.deb 2846580 MD5Sum:55",
    "'http://deb.debian.org/debian/pool/main/u/util-linux/bsdutils_2.41_amd64.deb' bsdutils_1%3a2.41_amd64.deb 110208 ",
    "'copy:/held/./adduser_3.152_all.deb' adduser_3.152_all.deb 190932 SHA256:a0",
    "Reading package lists...",
    "",
  ].join("\n");
  assert.deepEqual(parsePrintUris(text), [
    { name: "libc6", version: "2.41-12+deb13u4", arch: "amd64" },
    { name: "bsdutils", version: "1:2.41", arch: "amd64" },
    { name: "adduser", version: "3.152", arch: "all" },
  ]);
});

test("records are split at empty lines; a field keeps the lines that continue it", () => {
  const [bash, less, ...more] = parseStanzas(
    "Package: bash\nTag: a,\n b\nSize: 5\n\n\nPackage: less\nHomepage: http://x:80/\n",
  );
  assert.equal(bash?.get("Tag"), "a,\n b");
  assert.equal(bash.get("Size"), "5");
  assert.equal(less?.get("Homepage"), "http://x:80/");
  assert.deepEqual(more, []);
});
