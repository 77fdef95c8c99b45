import assert from "node:assert/strict";
import { test } from "node:test";
import { narrowAliases, narrowDependencies, parseModuleList, selectModules } from "./kernel-modules.ts";

const dependencies = `kernel/drivers/block/virtio_blk.ko.xz:
kernel/drivers/scsi/sd_mod.ko.xz: kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/scsi/scsi_common.ko.xz
kernel/drivers/scsi/scsi_mod.ko.xz: kernel/drivers/scsi/scsi_common.ko.xz
kernel/drivers/scsi/scsi_common.ko.xz:
kernel/drivers/pci/pci-hyperv.ko.xz:
`;
const builtin = "kernel/fs/ext4/ext4.ko\n";

test("a module brings what it needs; built-in ones and those not there are told apart", () => {
  assert.deepEqual(
    selectModules(dependencies, builtin, ["sd_mod", "ext4", "pci_hyperv", "zfs", "bcachefs"]),
    {
      files: [
        "kernel/drivers/pci/pci-hyperv.ko.xz",
        "kernel/drivers/scsi/scsi_common.ko.xz",
        "kernel/drivers/scsi/scsi_mod.ko.xz",
        "kernel/drivers/scsi/sd_mod.ko.xz",
      ],
      missing: ["bcachefs", "zfs"],
    },
  );
});

test("the lists for modprobe speak of the chosen modules alone, unpacked", () => {
  const { files } = selectModules(dependencies, builtin, ["scsi_mod"]);
  assert.equal(
    narrowDependencies(dependencies, files),
    "kernel/drivers/scsi/scsi_common.ko:\nkernel/drivers/scsi/scsi_mod.ko: kernel/drivers/scsi/scsi_common.ko\n",
  );
  const aliases =
    "# Aliases\nalias virtio:d00000002v* virtio_blk\nalias scsi:t-0x00* sd_mod\nalias vmbus:44* pci_hyperv\n";
  assert.equal(
    narrowAliases(aliases, ["kernel/drivers/pci/pci-hyperv.ko.xz"]),
    "alias vmbus:44* pci_hyperv\n",
  );
});

test("a list of modules may have comments and empty lines", () => {
  assert.deepEqual(parseModuleList("# disks\nahci\n\n  nvme # fast\n"), ["ahci", "nvme"]);
});
