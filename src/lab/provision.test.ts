import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hasCode } from "../errors.ts";
import { credentialCarrier, credentialFiles, credentials, writeCredentials } from "./provision.ts";

const base = { hostname: "box", rootKeys: ["ssh-ed25519 AAAA lab"] };

test("a bare machine is told its name and who may log in, and nothing else", () => {
  assert.deepEqual(
    [...credentials(base)],
    [
      ["system.hostname", "box"],
      ["ssh.authorized_keys.root", "ssh-ed25519 AAAA lab\n"],
    ],
  );
});

test("files become tmpfiles.d lines whose content survives any character", () => {
  const content = 'a b\n%H "quoted" \\n\n';
  const lines = credentials({ ...base, files: [{ path: "/etc/x.conf", mode: "0600", content }] });
  const [line = ""] = (lines.get("tmpfiles.extra") ?? "").split("\n");
  const fields = line.split(" ");
  assert.deepEqual(fields.slice(0, 6), ["f~", "/etc/x.conf", "0600", "root", "root", "-"]);
  assert.equal(Buffer.from(fields[6] ?? "", "base64").toString(), content);
});

test("units and drop-ins have credentials of their own", () => {
  const result = credentials({
    ...base,
    units: [{ name: "a@b.service", content: "[Service]\n" }],
    dropIns: [{ unit: "ssh.service", content: "[Unit]\n" }],
  });
  assert.equal(result.get("systemd.extra-unit.a@b.service"), "[Service]\n");
  assert.equal(result.get("systemd.unit-dropin.ssh.service"), "[Unit]\n");
});

test("users come with their groups and keys", () => {
  const result = credentials({
    ...base,
    users: [{ name: "ann", keys: ["ssh-ed25519 B ann"], groups: ["atoll"] }],
  });
  assert.equal(result.get("sysusers.extra"), 'u ann - "ann" /var/home/ann /bin/bash\nm ann atoll\n');
  assert.match(result.get("tmpfiles.extra") ?? "", /^d \/var\/home\/ann 0700 ann ann\n/);
  assert.match(
    result.get("tmpfiles.extra") ?? "",
    /f~ \/var\/home\/ann\/\.ssh\/authorized_keys 0600 ann ann/,
  );
});

test("what would escape its line or its folder is refused", () => {
  const bad = [
    { ...base, files: [{ path: "/etc/../usr/bin/sh", content: "" }] },
    { ...base, files: [{ path: "/usr/bin/sh", content: "" }] },
    { ...base, files: [{ path: "/etc/a b", content: "" }] },
    { ...base, files: [{ path: "/etc/a\nf /etc/b", content: "" }] },
    { ...base, users: [{ name: "a b", keys: [] }] },
    { ...base, units: [{ name: "../x.service", content: "" }] },
    { ...base, dropIns: [{ unit: "x", content: "" }] },
  ];
  for (const provisioning of bad) {
    assert.throws(
      () => credentials(provisioning),
      (error) => hasCode(error, "PROVISIONING_INVALID"),
    );
  }
});

test("names too long for fw_cfg go by SMBIOS, in base64", async () => {
  const name = "systemd.extra-unit.a-rather-long-name.service";
  assert.equal(credentialCarrier("ssh.authorized_keys.root"), "fw_cfg");
  assert.equal(credentialCarrier(name), "smbios");
  const directory = await mkdtemp(join(tmpdir(), "atoll-provision-"));
  try {
    const content = "[Service]\nExecStart=true\n";
    await writeCredentials(directory, { ...base, units: [{ name: "a-rather-long-name.service", content }] });
    const files = await credentialFiles(directory);
    assert.deepEqual(
      files.map((file) => [file.name, file.by]),
      [
        ["ssh.authorized_keys.root", "fw_cfg"],
        ["system.hostname", "fw_cfg"],
        [name, "smbios"],
      ],
    );
    const carried = await readFile(join(directory, name), "utf8");
    assert.equal(carried, `io.systemd.credential.binary:${name}=${Buffer.from(content).toString("base64")}`);
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600);
  } finally {
    await rm(directory, { recursive: true });
  }
});
