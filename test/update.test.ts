import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exitCodes } from "../src/errors.ts";
import { stateDirectory } from "../src/paths.ts";
import { atoll } from "./atoll.ts";
import type { TestBed } from "./bed.ts";
import { assertRefused, assertWell, booted } from "./expect.ts";
import type { TestMachine } from "./machine.ts";
import { scenario } from "./scenario.ts";
import {
  bulk,
  etcFolder,
  forgetKey,
  publish,
  stealSignature,
  strangersKey,
  type TestTree,
  tamperWithFile,
} from "./trees.ts";

/** A web server in a container that systemd starts, as an owner writes it down. Its page lies in a volume. */
const quadlet = `[Container]
Image=localhost/test-web
Exec=/bin/busybox httpd -f -p 8080 -h /data
Volume=test-web:/data
PublishPort=8080:8080

[Install]
WantedBy=multi-user.target
`;

/** Makes the image from the host's own busybox, so that nothing comes from a registry. */
const makeContainer = `set -eu
cat > /etc/containers/systemd/test-web.container <<'END'
${quadlet}END
mkdir -p /tmp/web/bin /tmp/web/data
cp /usr/bin/busybox /tmp/web/bin/
# Debian's busybox is dynamic: its libraries, and the loader, go along.
for file in /lib64/ld-linux-x86-64.so.2 $(/lib64/ld-linux-x86-64.so.2 --list /usr/bin/busybox | grep -o '/[^ )]*'); do
  mkdir -p "/tmp/web$(dirname "$file")"
  cp -L "$file" "/tmp/web$file"
done
echo 'kept in a volume' > /tmp/web/data/index.html
tar -C /tmp/web -c . | podman import -q - localhost/test-web
systemctl daemon-reload
systemctl start test-web.service`;

scenario("update", async (step, bed, machine) => {
  const { base } = bed.trees;
  let updated: TestTree | undefined;

  await step("the first boot is judged well, and takes what it was provisioned with", async () => {
    const files = [{ path: "/etc/atoll-test/provisioned", mode: "0600", content: "provisioned\n" }];
    assertWell(await bed.boot(machine, { ports: [8080], files }));
    const { stdout } = await machine.ssh(
      "cat /etc/atoll-test/provisioned; stat -c %a /etc/atoll-test/provisioned",
    );
    assert.equal(stdout, "provisioned\n600\n");
    const status = await machine.status();
    assert.equal(status.hostname, machine.name);
    assert.equal(status.trial.state, "good");
    assert.equal(booted(status).checksum, base);
    assert.equal(booted(status).signature.valid, true);
    assert.deepEqual(status.bad, []);
  });

  await step("a container serves a page, started by systemd, with its log in the journal", async () => {
    await machine.ssh(makeContainer);
    assert.equal(await page(machine), "kept in a volume");
    const { stdout } = await machine.ssh("systemctl is-active test-web.service");
    assert.equal(stdout.trim(), "active");
  });

  await step("there is nothing to do while the remote has nothing newer", async () => {
    const check = await atoll(machine.name, "upgrade", "--check");
    assert.equal(check.code, exitCodes.nothingToDo, check.stdout + check.stderr);
  });

  await step("an update merges /etc, and keeps /var and the container", async () => {
    await machine.ssh(`set -eu
      cd /etc/atoll-test; echo mine > both; echo mine > owner; echo mine > added; rm removed
      useradd --create-home --home-dir /var/home/keeper keeper
      echo precious > /var/lib/precious; sync`);
    updated = await bed.offer({
      [`${etcFolder}/both`]: { content: "new\n" },
      [`${etcFolder}/tree`]: { content: "new\n" },
      [`${etcFolder}/brought`]: { content: "new\n" },
      "usr/share/atoll-test/marker": { content: "new\n" },
    });
    const check = await atoll(machine.name, "upgrade", "--check");
    assert.equal(check.code, exitCodes.done, check.stdout + check.stderr);
    assert.ok(check.stdout.includes(updated.version), check.stdout);

    const result = await machine.change("upgrade", { mode: "stage" });
    await machine.changeAndReboot("upgrade", { mode: "reboot" });
    assert.deepEqual(
      result.conflicts.map(({ path }) => path),
      ["/etc/atoll-test/both"],
    );
    assertWell(await machine.judged());

    const status = await machine.status();
    assert.equal(booted(status).checksum, updated.checksum);
    assert.equal(booted(status).version, updated.version);
    assert.equal(status.trial.state, "good");
    const { stdout } =
      await machine.ssh(`cd /etc/atoll-test; for file in *; do echo "$file $(cat $file)"; done
      cat /usr/share/atoll-test/marker /var/lib/precious; id -un keeper; hostname`);
    assert.deepEqual(stdout.trim().split("\n"), [
      ...["added mine", "both mine", "brought new", "owner mine", "provisioned provisioned", "tree new"],
      ...["new", "precious", "keeper", machine.name],
    ]);
    assert.equal(await page(machine), "kept in a volume");
  });

  await step("the history tells of it", async () => {
    const { entries } = await machine.history();
    const kinds = entries.filter(({ version }) => version === updated?.version).map(({ kind }) => kind);
    for (const kind of ["staged", "boot", "verdict"] as const)
      assert.ok(kinds.includes(kind), kinds.join(", "));
    const text = await atoll(machine.name, "host", "history");
    assert.equal(text.code, 0, text.stderr);
    assert.ok(text.stdout.includes(updated?.version ?? "?"), text.stdout);
  });

  await step("by hand it goes back to the version before, with its /etc", async () => {
    await machine.changeAndReboot("rollback", { reboot: true });
    assertWell(await machine.judged());
    const status = await machine.status();
    assert.equal(booted(status).checksum, base);
    assert.deepEqual(status.bad, [], "a version that an owner left by hand is not a bad one");
    const { stdout } = await machine.ssh("cat /etc/atoll-test/both /etc/atoll-test/tree /var/lib/precious");
    assert.deepEqual(stdout.trim().split("\n"), ["mine", "base", "precious"]);
    assert.equal(await page(machine), "kept in a volume");
  });

  await refusals(step, bed, machine);

  await step("after all those refusals an update works", async () => {
    const tree = await bed.offer();
    await machine.changeAndReboot("upgrade", { mode: "reboot" });
    assertWell(await machine.judged());
    assert.equal(booted(await machine.status()).checksum, tree.checksum);
  });
});

/** What must never be staged. */
async function refusals(
  step: (name: string, work: () => Promise<void>) => Promise<void>,
  bed: TestBed,
  machine: TestMachine,
): Promise<void> {
  const { trees } = bed;
  const upgrade = () => machine.change("upgrade", { mode: "stage" });

  await step("a tree that nobody signed is refused", async () => {
    await publish(trees, await bed.derive({ signer: null }));
    await assertRefused(machine, "COMMIT_UNSIGNED", upgrade);
  });

  await step("a tree that somebody else signed is refused", async () => {
    const signer = await strangersKey(bed.toolbox, join(stateDirectory(), "stranger"));
    await publish(trees, await bed.derive({ signer }));
    await forgetKey(bed.toolbox, signer);
    await assertRefused(machine, "COMMIT_KEY_UNKNOWN", upgrade);
  });

  await step("a tree with another's signature is refused", async () => {
    const signed = await bed.derive();
    const unsigned = await bed.derive({ signer: null });
    await stealSignature(trees, signed, unsigned);
    await publish(trees, unsigned);
    await assertRefused(machine, "COMMIT_SIGNATURE_BAD", upgrade);
  });

  await step("a tree that was changed after it was signed is refused", async () => {
    const tree = await bed.derive({ files: bulk("tampered", 100_000) });
    await tamperWithFile(trees, tree, "/usr/share/atoll-test/tampered");
    await publish(trees, tree);
    await assertRefused(machine, "TREE_TAMPERED", upgrade);
  });

  await step("an older tree is refused, unless asked for", async () => {
    const status = await machine.status();
    const timestamp = Date.parse(booted(status).timestamp) / 1000 - 86_400;
    await publish(trees, await bed.derive({ version: "20200101.1", timestamp }));
    await assertRefused(machine, "DOWNGRADE", upgrade);
    const { update } = await machine.status();
    assert.notEqual(update?.refusal ?? null, null);
  });

  await step("an update that does not fit is refused before anything changes", async () => {
    await publish(trees, await bed.derive({ files: bulk("big", 150_000_000) }));
    await machine.ssh(`set -eu
      free=$(df --output=avail -B1 /var | tail -n 1)
      fallocate -l $((free - 100000000)) /var/lib/filler`);
    const used = "df --output=used -B1M /var | tail -n 1; ls /ostree/repo/objects/*/* | wc -l";
    const before = await machine.ssh(used);
    await assertRefused(machine, "NO_SPACE", upgrade);
    assert.equal((await machine.ssh(used)).stdout, before.stdout);
    await machine.ssh("rm /var/lib/filler");
  });

  await step("a remote that is not there is named", async () => {
    await machine.ssh("nft add table inet atolltest");
    await machine.ssh(`nft add chain inet atolltest out '{ type filter hook output priority 0; }'
      nft add rule inet atolltest out tcp dport ${"{"} 1024-65535 ${"}"} ct state new reject with tcp reset`);
    await assertRefused(machine, "REMOTE_UNREACHABLE", upgrade);
    await machine.ssh("nft delete table inet atolltest");
  });
}

/** The page that the container serves, through the machine's forwarded port; systemd starts it, it takes a moment. */
async function page(machine: TestMachine): Promise<string> {
  const address = `http://127.0.0.1:${await machine.port(8080)}/`;
  for (let tries = 0; ; tries++) {
    try {
      const response = await fetch(address);
      assert.equal(response.status, 200);
      return (await response.text()).trim();
    } catch (error) {
      if (tries === 60) throw error;
      await sleep(1000);
    }
  }
}
