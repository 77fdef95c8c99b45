import assert from "node:assert/strict";
import { test } from "node:test";
import { type QemuOptions, qemuCommand } from "./qemu.ts";

const machine: QemuOptions = {
  name: "atoll-1",
  id: "c259ea42-3f6b-4a9a-bd89-ff9e18d5c3a2",
  accelerator: "tcg",
  firmware: "bios",
  variables: "/lab/atoll-1/vars.fd",
  cpus: 2,
  memoryMiB: 1024,
  disk: { file: "/lab/atoll-1/disk", format: "qcow2" },
  macAddress: "52:54:00:00:00:01",
  forwards: [
    { host: 40022, guest: 22 },
    { host: 8080, guest: 80 },
  ],
  credentials: [],
  consoleSocket: "/lab/atoll-1/con",
  consoleLog: "/lab/atoll-1/console.log",
  monitorSocket: "/lab/atoll-1/qmp",
};

/** The values of every option `name`. */
function values(command: readonly string[], name: string): string[] {
  return command.flatMap((word, index) => (word === name ? [command[index + 1] ?? ""] : []));
}

test("every machine has the watchdog of the boot contract, and a hang resets it", () => {
  const command = qemuCommand(machine);
  assert.ok(values(command, "-device").includes("i6300esb"));
  assert.deepEqual(values(command, "-action"), ["watchdog=reset"]);
});

test("ports are forwarded from 127.0.0.1 only", () => {
  const [netdev = ""] = values(qemuCommand(machine), "-netdev");
  assert.equal(netdev, "user,id=net,hostfwd=tcp:127.0.0.1:40022-:22,hostfwd=tcp:127.0.0.1:8080-:80");
});

test("BIOS has no UEFI flash; Secure Boot has the signed firmware and a flash that only it can write", () => {
  assert.deepEqual(values(qemuCommand(machine), "-drive"), []);
  const secure = qemuCommand({ ...machine, firmware: "secureboot" });
  assert.match(values(secure, "-drive")[0] ?? "", /readonly=on,file=.*secboot/);
  assert.ok(values(secure, "-machine").includes("q35,smm=on"));
  assert.ok(values(secure, "-global").includes("driver=cfi.pflash01,property=secure,value=on"));
  const plain = qemuCommand({ ...machine, firmware: "uefi" });
  assert.equal(values(plain, "-drive").length, 2);
  assert.deepEqual(values(plain, "-global"), []);
});

test("a write log puts blklogwrites between the disk and the machine", () => {
  const plain = values(qemuCommand(machine), "-blockdev");
  assert.equal(plain.length, 1);
  const logged = qemuCommand({ ...machine, disk: { ...machine.disk, writeLog: "/lab/log" } });
  const [, layer = "{}"] = values(logged, "-blockdev");
  assert.deepEqual(JSON.parse(layer), {
    driver: "blklogwrites",
    "node-name": "disk",
    file: "image",
    log: { driver: "file", filename: "/lab/log", cache: { "no-flush": true } },
    "log-sector-size": 512,
  });
  assert.ok(values(logged, "-device").includes("virtio-blk-pci,drive=disk,bootindex=1"));
});

test("credentials go by fw_cfg or SMBIOS, and commas in paths are doubled", () => {
  const command = qemuCommand({
    ...machine,
    consoleLog: "/a,b/console.log",
    credentials: [
      { name: "tmpfiles.extra", by: "fw_cfg", file: "/a,b/tmpfiles.extra" },
      { name: "systemd.extra-unit.x.service", by: "smbios", file: "/c/x" },
    ],
  });
  assert.deepEqual(values(command, "-fw_cfg"), [
    "name=opt/io.systemd.credentials/tmpfiles.extra,file=/a,,b/tmpfiles.extra",
  ]);
  assert.deepEqual(values(command, "-smbios"), ["type=11,path=/c/x"]);
  assert.match(values(command, "-chardev")[0] ?? "", /logfile=\/a,,b\/console\.log/);
});

test("emulation uses a thread for each processor", () => {
  assert.deepEqual(values(qemuCommand(machine), "-accel"), ["tcg,thread=multi"]);
  assert.deepEqual(values(qemuCommand({ ...machine, accelerator: "kvm" }), "-accel"), ["kvm"]);
});
