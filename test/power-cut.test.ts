import assert from "node:assert/strict";
import type { StatusResponse } from "../src/api/types.ts";
import type { TestBed } from "./bed.ts";
import { assertWell } from "./expect.ts";
import type { CutReport, TestMachine } from "./machine.ts";
import { scenario } from "./scenario.ts";
import { seededRandom, testSeed } from "./seed.ts";
import { bulk, etcFolder, type TestTree } from "./trees.ts";

/** `finalize` ends where GRUB starts the new deployment; `trial` goes on from there to the verdict. */
const operations = ["upgrade", "finalize", "trial", "rollback", "deploy", "cleanup"] as const;
type Operation = (typeof operations)[number];

/**
 * Bytes that an operation writes. The cut comes at a random share of them, not after a random time, so that it hits
 * the same places on a slow computer as on a fast one. First guesses; each operation that outruns its cut corrects them.
 */
const firstGuess: Readonly<Record<Operation, number>> = {
  upgrade: 12e6,
  finalize: 10e6,
  trial: 10e6,
  rollback: 3e6,
  deploy: 12e6,
  cleanup: 3e6,
};

const cuts = Number(process.env.ATOLL_TEST_CUTS ?? "20");
const seed = testSeed();

scenario("cuts", async (step, bed, machine) => {
  process.stdout.write(`        power cuts: replay with ATOLL_TEST_SEED=${seed} ATOLL_TEST_CUTS=${cuts}\n`);
  const victim = new Victim(bed, machine);
  await step("a machine comes up", () => victim.start());
  for (let cut = 1; cut <= cuts; cut++) {
    const operation = operations[(cut - 1) % operations.length] ?? "upgrade";
    await step(`cut ${cut} of ${cuts}, in ${operation}`, () => victim.suffer(cut, operation));
  }
  await step("an upgrade works after all that", () => victim.recover());
  await step("the cuts were cuts: writes were lost in them", async () => {
    assert.ok(cuts < 5 || victim.lost > 0, "no cut lost a single write");
  });
});

/** Where a machine stands before an operation. */
interface Before {
  readonly booted: string;
  readonly deployed: readonly string[];
}

/** What an operation may leave behind. */
interface Attempt {
  /** Settles when the operation is over; rejects when the power goes first. */
  readonly over: Promise<unknown>;
  /** Commits of which one may be booted after the cut. */
  readonly mayBoot: readonly string[];
  /** What must be true after the cut when the operation was over before it: what was reported as done is done. */
  readonly done: (status: StatusResponse) => boolean;
}

/** A machine that has its power cut again and again, and what is known of it. */
class Victim {
  readonly #bed: TestBed;
  readonly #machine: TestMachine;
  readonly #sizes: Record<Operation, number> = { ...firstGuess };
  #version = 0;
  #newest: TestTree | null = null;
  /** Writes lost in all cuts so far. */
  lost = 0;

  constructor(bed: TestBed, machine: TestMachine) {
    this.#bed = bed;
    this.#machine = machine;
  }

  async start(): Promise<void> {
    assertWell(await this.#bed.boot(this.#machine, { diskFormat: "raw", cuttable: true }));
    await this.#machine.ssh(plantSentinels);
  }

  async suffer(cut: number, operation: Operation): Promise<void> {
    const random = seededRandom(seed, `cut ${cut}`);
    await this.#prepare(operation);
    await this.#machine.ssh(`echo ${cut} > /var/lib/atoll-test/cut; sync`);
    const before = standing(await this.#machine.status());
    const start = await this.#machine.written();
    const share = random() * 1.2;
    const attempt = await this.#begin(operation, before);
    const overFirst = await this.#reach(start + share * this.#sizes[operation], attempt.over);
    if (overFirst) this.#sizes[operation] = Math.max(1, (await this.#machine.written()) - start);
    const report = await this.#machine.cutPower(random);
    this.lost += report.lost;
    await this.#machine.turnOn({ cuttable: true });
    const verdict = await this.#machine.judged();
    assertWell(verdict);
    const status = await this.#checkWhole(cut);
    const { booted } = standing(status);
    say(
      cut,
      operation,
      overFirst ? "after its end" : `at ${Math.round(share * 100)} %`,
      report,
      booted === before.booted,
    );
    assert.ok(attempt.mayBoot.includes(booted), `booted ${booted}, not one of ${attempt.mayBoot.join(", ")}`);
    if (overFirst) {
      const left = JSON.stringify(status.deployments, null, 2);
      assert.ok(attempt.done(status), `${operation} was over before the cut, and is undone: ${left}`);
    }
  }

  /** True when the operation was over before the machine had written up to `bytes`. */
  async #reach(bytes: number, over: Promise<unknown>): Promise<boolean> {
    const stop = new AbortController();
    const ended = over.then(() => true);
    const reached = this.#machine.wrote(bytes, stop.signal).then(() => false);
    try {
      return await Promise.race([ended, reached]);
    } finally {
      // From here on the operation is meant to fail: its machine loses its power.
      ended.catch(() => {});
      stop.abort();
    }
  }

  /** Brings the machine to where `operation` makes sense. */
  async #prepare(operation: Operation): Promise<void> {
    const status = await this.#machine.status();
    switch (operation) {
      case "upgrade":
      case "deploy":
        await this.#publishNew();
        return;
      case "finalize":
      case "trial":
        await this.#stageNew();
        return;
      case "rollback":
        // Else it would drop that, and stay.
        if (status.deployments.some(({ staged }) => staged))
          await this.#machine.change("cleanup", { pending: true });
        if (!status.deployments.some(({ rollback }) => rollback)) await this.recover();
        return;
      case "cleanup":
        if (!status.deployments.some(({ rollback }) => rollback)) await this.recover();
        return;
    }
  }

  async #publishNew(): Promise<TestTree> {
    this.#version += 1;
    const name = `cut-${this.#version}`;
    // A few megabytes, so that there is something to be in the middle of; and something in /etc to merge.
    const files = { ...bulk(name, 4e6), [`${etcFolder}/vendor`]: { content: `${name}\n` } };
    this.#newest = await this.#bed.offer(files);
    return this.#newest;
  }

  async #stageNew(): Promise<TestTree> {
    const tree = await this.#publishNew();
    await this.#machine.change("upgrade", { mode: "stage" });
    return tree;
  }

  async #begin(operation: Operation, before: Before): Promise<Attempt> {
    const machine = this.#machine;
    const newest = this.#newest?.checksum ?? before.booted;
    const boots = (checksum: string) => (status: StatusResponse) => standing(status).booted === checksum;
    // Staging ends in what the next shutdown does; a cut is no shutdown. The host stages it again.
    const stages = ({ deployments }: StatusResponse): boolean =>
      deployments.some(({ staged, checksum }) => staged && checksum === newest);
    switch (operation) {
      case "upgrade":
        return {
          over: machine.change("upgrade", { mode: "stage" }),
          ...{ mayBoot: [before.booted], done: stages },
        };
      case "deploy":
        return {
          over: machine.change("deploy", { target: newest }),
          ...{ mayBoot: [before.booted], done: stages },
        };
      case "cleanup":
        return {
          over: machine.change("cleanup", { rollback: true, pending: true }),
          mayBoot: [before.booted],
          done: ({ deployments }) => deployments.length === 1,
        };
      case "rollback": {
        const other = before.deployed.find((checksum) => checksum !== before.booted) ?? before.booted;
        const over = machine.change("rollback", {});
        return { over, mayBoot: [before.booted, other], done: boots(other) };
      }
      case "finalize": {
        const over = machine.rebootUntilLoader();
        return { over, mayBoot: [before.booted, newest], done: boots(newest) };
      }
      case "trial": {
        await machine.rebootUntilLoader();
        return { over: machine.judged(), mayBoot: [newest], done: boots(newest) };
      }
    }
  }

  /** What has to be whole after every cut. Gives the status. */
  async #checkWhole(cut: number): Promise<StatusResponse> {
    const status = await this.#machine.until(
      ({ operation, recovering }) => operation === null && !recovering,
    );
    const { entries } = await this.#machine.history();
    assert.ok(entries.length > 0, "no history");
    const { stdout } = await this.#machine.ssh(checkWhole(standing(status).booted, cut));
    assert.equal(stdout.trim(), "whole");
    return status;
  }

  /** A whole upgrade with its reboot. */
  async recover(): Promise<void> {
    const tree = await this.#stageNew();
    await this.#machine.rebootUntilLoader();
    const verdict = await this.#machine.judged();
    assertWell(verdict);
    assert.equal(standing(await this.#machine.status()).booted, tree.checksum);
  }
}

function standing({ deployments }: StatusResponse): Before {
  const booted = deployments.find((deployment) => deployment.booted);
  assert.ok(booted, "nothing is booted");
  return {
    booted: booted.checksum,
    deployed: deployments.filter(({ staged }) => !staged).map(({ checksum }) => checksum),
  };
}

const plantSentinels = `set -eu
for folder in /etc/atoll-test /var/lib/atoll-test; do
  mkdir -p $folder
  for size in 1 100 5000 300000; do head -c $size /dev/urandom > $folder/$size; done
done
sha256sum /etc/atoll-test/[0-9]* /var/lib/atoll-test/[0-9]* > /var/lib/atoll-test/sums
sync`;

/**
 * Says "whole" when every object has its checksum, the booted deployment holds exactly the files of its commit,
 * what the owner put into /etc and /var is as it was, GRUB's state is readable, and no unit failed.
 */
function checkWhole(commit: string, cut: number): string {
  return `set -eu
ostree fsck --quiet --repo=/ostree/repo >/dev/null
sha256sum --quiet -c /var/lib/atoll-test/sums
[ "$(cat /var/lib/atoll-test/cut)" = ${cut} ]
[ "$(stat -c %s /boot/grub/grubenv)" = 1024 ]
head -n 1 /boot/grub/grubenv | grep -qx '# GRUB Environment Block'
ostree ls -R --nul-filenames-only --repo=/ostree/repo ${commit} /usr | sort -z > /run/atoll-test.commit
find /usr -print0 | sort -z > /run/atoll-test.disk
cmp /run/atoll-test.commit /run/atoll-test.disk
systemctl list-units --failed --plain --no-legend
echo whole`;
}

function say(cut: number, operation: Operation, when: string, report: CutReport, old: boolean): void {
  const { writes, lost, torn } = report;
  const loss = `of ${writes} writes ${lost} lost, ${torn} torn`;
  process.stdout.write(
    `        cut ${cut}: ${operation}, ${when}; ${loss}; came up on the ${old ? "old" : "new"} tree\n`,
  );
}
