import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { StatusResponse } from "../src/api/types.ts";
import { exitCodes } from "../src/errors.ts";
import { stateDirectory } from "../src/paths.ts";
import { atoll } from "./atoll.ts";
import type { TestBed } from "./bed.ts";
import { assertRefused, assertWell, booted } from "./expect.ts";
import { forgetKey, newKey, rotatedKeyring } from "./keys.ts";
import type { TestMachine } from "./machine.ts";
import { scenario } from "./scenario.ts";
import { bulk, etcFolder, publish, stealSignature, type TestTree, tamperWithFile } from "./trees.ts";

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

const provisioning = {
  files: [{ path: "/etc/atoll-test/provisioned", mode: "0600", content: "provisioned\n" }],
  users: [
    { name: "ada", keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAllIsNotWhatItSeemsToBeHereAndThere0 ada"] },
  ],
  units: [
    {
      name: "provisioned.service",
      content: `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
`,
    },
  ],
};

async function assertProvisioned(machine: TestMachine): Promise<void> {
  const { stdout } = await machine.ssh(`cat /etc/atoll-test/provisioned
    stat -c %a /etc/atoll-test/provisioned
    id -un ada; grep -o 'ada$' ~ada/.ssh/authorized_keys; stat -c %U ~ada/.ssh/authorized_keys
    systemctl is-active provisioned.service; hostname`);
  assert.deepEqual(stdout.trim().split("\n"), [
    ...["provisioned", "600", "ada", "ada", "ada", "active", machine.name],
  ]);
}

scenario("update", async (step, bed, machine) => {
  const { base } = bed.trees;
  let updated: TestTree | undefined;

  await step("the first boot is judged well, and takes what it was provisioned with", async () => {
    assertWell(await bed.boot(machine, { ports: [8080], provisioning }));
    await assertProvisioned(machine);
    const daemon = await machine.ssh(
      "stat -c '%u %g %a' /run/atoll/api.sock; journalctl --quiet --boot --identifier=atolld --output=cat | wc -l",
    );
    assert.match(daemon.stdout, /^0 500 660\n[1-9]/);
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

  await step(
    "pin, kargs, deploy, rebase, diff and usroverlay do what they say, and nothing more",
    async () => {
      await machine.change("pin", { deployment: "rollback" });
      assert.deepEqual(pinned(await machine.status()), [base]);
      await machine.change("unpin", { deployment: "rollback" });
      assert.deepEqual(pinned(await machine.status()), []);

      const before = booted(await machine.status()).kernelArguments ?? [];
      await machine.change("kargs", { append: ["test.a=1", "test.b=1"] });
      assert.deepEqual(nextArguments(await machine.status()), [...before, "test.a=1", "test.b=1"]);
      await machine.change("kargs", { delete: ["test.a"], replace: ["test.b=2"] });
      assert.deepEqual(nextArguments(await machine.status()), [...before, "test.b=2"]);
      await machine.change("cleanup", { pending: true });
      assert.deepEqual(nextArguments(await machine.status()), before);

      const older = await machine.change("deploy", { target: base.slice(0, 12) });
      assert.equal(older.deployment?.checksum, base);
      await machine.change("cleanup", { pending: true });
      await assertRefused(machine, "REF_UNKNOWN", () => machine.change("rebase", { to: "nowhere" }));

      const diff = await atoll(machine.name, "host", "diff", "rollback", "booted", "--json");
      assert.equal(diff.code, 0, diff.stderr);
      assert.ok(diff.stdout.includes(updated?.checksum ?? "?"), diff.stdout);

      await machine.change("usroverlay", {});
      await machine.ssh("echo experiment > /usr/experiment");
      assert.equal(booted(await machine.status()).unlocked, true);
    },
  );

  await step(
    "by hand it goes back to the version before, with its /etc, and without its credentials",
    async () => {
      await machine.change("rollback", {});
      await machine.ssh("sync");
      // Only a machine that is turned on anew has lost what it was provisioned with; systemd has kept it.
      await machine.turnOff();
      await machine.turnOn();
      assertWell(await machine.judged());
      await assertProvisioned(machine);
      assert.equal((await machine.ssh("cat /usr/experiment || echo gone")).stdout.trim(), "gone");
      const status = await machine.status();
      assert.equal(booted(status).checksum, base);
      assert.deepEqual(status.bad, [], "a version that an owner left by hand is not a bad one");
      const { stdout } = await machine.ssh("cat /etc/atoll-test/both /etc/atoll-test/tree /var/lib/precious");
      assert.deepEqual(stdout.trim().split("\n"), ["mine", "base", "precious"]);
      assert.equal(await page(machine), "kept in a volume");
    },
  );

  await refusals(step, bed, machine);

  const signer = await newKey(bed.toolbox, "successor", join(stateDirectory(), "successor"));
  await step(
    "after all those refusals an update works; this one revokes the key that signed it",
    async () => {
      const home = join(stateDirectory(), "rotation");
      const content = await rotatedKeyring(bed.toolbox, bed.trees.signer, signer, home);
      const tree = await bed.offer({ "usr/share/ostree/trusted.gpg.d/atoll.gpg": { content } });
      await machine.changeAndReboot("upgrade", { mode: "reboot" });
      assertWell(await machine.judged());
      assert.equal(booted(await machine.status()).checksum, tree.checksum);
    },
  );

  await step(
    "what the revoked key signs is refused from then on; what its successor signs is taken",
    async () => {
      const stage = () => machine.change("upgrade", { mode: "stage" });
      await bed.offer();
      await assertRefused(machine, "COMMIT_KEY_REVOKED", stage);
      const tree = await bed.derive({ signer });
      await forgetKey(bed.toolbox, signer);
      await publish(bed.trees, tree);
      assert.equal((await stage()).deployment?.checksum, tree.checksum);
    },
  );
});

function pinned({ deployments }: StatusResponse): string[] {
  return deployments.filter((deployment) => deployment.pinned).map(({ checksum }) => checksum);
}

/** With which the next boot goes. */
function nextArguments({ deployments }: StatusResponse): readonly string[] {
  return deployments[0]?.kernelArguments ?? [];
}

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
    const signer = await newKey(bed.toolbox, "stranger", join(stateDirectory(), "stranger"));
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

  await step(
    "an update that does not fit is refused before anything changes, one that does is taken",
    async () => {
      const big = await bed.derive({ files: bulk("big", 150_000_000) });
      const small = await bed.derive();
      await publish(trees, big);
      // A twentieth stays free; then there is room for folders and a kernel, and not for the big file.
      await machine.ssh(`set -eu
      set -- $(df --output=avail,size -B1 /var | tail -n 1)
      fallocate -l $(($1 - $2 / 20 - 130000000)) /var/lib/filler`);
      const used = "df --output=used -B1M /var | tail -n 1; ls /ostree/repo/objects/*/*.file | wc -l";
      const before = await machine.ssh(used);
      await assertRefused(machine, "NO_SPACE", upgrade);
      assert.equal((await machine.ssh(used)).stdout, before.stdout);
      await publish(trees, small);
      assert.equal((await upgrade()).deployment?.checksum, small.checksum);
      await machine.change("cleanup", { pending: true });
      await machine.ssh("rm /var/lib/filler");
    },
  );

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
