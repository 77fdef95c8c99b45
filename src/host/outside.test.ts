import assert from "node:assert/strict";
import { test } from "node:test";
import { parseContainerHealth } from "./containers.ts";
import { mergedLines, parseBoots } from "./journal.ts";
import { addressesOf, isOnline, routesOf } from "./network.ts";
import { outsideResult, parseContainerUnits, parseUnitNames } from "./systemd.ts";

/** What the programs of Debian 13 say, recorded on an Atoll host and shortened. */

test("systemctl list-units: names", () => {
  const json = '[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed","description":"A"}]';
  assert.deepEqual(parseUnitNames(json), ["a.service"]);
  assert.deepEqual(parseUnitNames("[]\n"), []);
});

/** A block of `systemctl show`, of a unit that is loaded. */
function shownUnit(id: string, fields: Readonly<Record<string, string>>): string {
  const all = {
    Id: id,
    SourcePath: "",
    LoadState: "loaded",
    ActiveState: "active",
    SubState: "running",
    ...fields,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

const quadlets = "/etc/containers/systemd";

test("systemctl show: container units are those whose source is a Quadlet file", () => {
  const output = [
    shownUnit("web.service", { SourcePath: `${quadlets}/web.container`, WantedBy: "multi-user.target" }),
    shownUnit("cron.service", {}),
    shownUnit("db.service", {
      SourcePath: "/usr/share/containers/systemd/db.container",
      ActiveState: "failed",
      SubState: "failed",
      Result: "exit-code",
    }),
    shownUnit("data-volume.service", { SourcePath: `${quadlets}/data.volume`, SubState: "exited" }),
    shownUnit("multi-user.target", { SubState: "active" }),
  ].join("\n");
  assert.deepEqual(parseContainerUnits(output), [
    {
      unit: "web.service",
      source: `${quadlets}/web.container`,
      active: true,
      atBoot: true,
      state: "active/running",
    },
    {
      unit: "db.service",
      source: "/usr/share/containers/systemd/db.container",
      active: false,
      atBoot: false,
      state: "failed/exit-code",
    },
  ]);
});

test("systemctl show: the boot starts what a target that is reached wants, by however many steps", () => {
  const container = (name: string, fields: Readonly<Record<string, string>>): string =>
    shownUnit(`${name}.service`, { SourcePath: `${quadlets}/${name}.container`, ...fields });
  const output = [
    container("front", { WantedBy: "rescue.target multi-user.target" }),
    container("cache", { RequiredBy: "front.service" }),
    container("backup", { TriggeredBy: "backup.timer" }),
    container("helper", { WantedBy: "backup.service", BoundBy: "backup.service" }),
    container("debug", { WantedBy: "rescue.target" }),
    container("by-hand", {}),
    container("loop", { RequiredBy: "loop.service" }),
    shownUnit("multi-user.target", { SubState: "active" }),
    shownUnit("rescue.target", { ActiveState: "inactive", SubState: "dead" }),
  ].join("\n");
  const atBoot = parseContainerUnits(output).filter((unit) => unit.atBoot);
  assert.deepEqual(
    atBoot.map(({ unit }) => unit),
    ["front.service", "cache.service"],
  );
});

test("systemd-run: the program's words without systemd-run's own", () => {
  const stderr = `Running as unit: run-p611-i911.service; invocation ID: 3c3f
broken on purpose
          Finished with result: exit-code
Main processes terminated with: code=exited, status=3/NOTIMPLEMENTED
               Service runtime: 1.2s
             CPU time consumed: 12ms
                   Memory peak: 1.2M (swap: 0B)
`;
  assert.deepEqual(outsideResult(3, "out\n", stderr), {
    code: 3,
    timedOut: false,
    output: "out\nbroken on purpose",
  });
  const late = "Running as unit: x\n          Finished with result: timeout\n";
  assert.deepEqual(outsideResult(1, "", late), { code: null, timedOut: true, output: "" });
});

test("podman ps: health by the unit that runs each container", () => {
  const container = (unit: string, status: string): object => ({
    Names: [unit],
    State: "running",
    Status: status,
    Labels: { PODMAN_SYSTEMD_UNIT: unit },
  });
  const list = [
    container("web.service", "Up 5 minutes (healthy)"),
    container("db.service", "Up 5 minutes (unhealthy)"),
    container("new.service", "Up 2 seconds (starting)"),
    container("plain.service", "Up 5 minutes"),
    { Names: ["by-hand"], Labels: null, Status: "Up 1 minute" },
  ];
  assert.deepEqual(
    [...parseContainerHealth(JSON.stringify(list))],
    [
      ["web.service", "healthy"],
      ["db.service", "unhealthy"],
      ["new.service", "starting"],
      ["plain.service", null],
    ],
  );
});

test("journalctl --list-boots: microseconds since the epoch", () => {
  const json = '[{"index":-1,"boot_id":"aa","first_entry":1763820784000000,"last_entry":1763820790000000}]';
  assert.deepEqual(parseBoots(json), [{ index: -1, id: "aa", startedAt: "2025-11-22T14:13:04.000Z" }]);
});

test("of the worst and the last lines each is kept once", () => {
  assert.deepEqual(mergedLines("bad\nworse\n", "fine\nworse\nlast\n"), ["bad", "worse", "fine", "last"]);
});

test("ip: addresses of the machine, not of its containers' bridges; routes that lead out", () => {
  const addresses = addressesOf([
    {
      ifname: "eth0",
      addr_info: [
        { family: "inet", local: "10.0.2.15" },
        { family: "inet6", local: "fec0::1" },
      ],
    },
    { ifname: "podman1", addr_info: [{ family: "inet", local: "10.89.0.1" }] },
    {},
  ]);
  assert.deepEqual(addresses, ["10.0.2.15", "fec0::1"]);
  const routes = routesOf("IPv4", [
    { dst: "default", gateway: "10.0.2.2", dev: "eth0", flags: [] },
    { dst: "default", dev: "eth1", flags: ["dead", "linkdown"] },
  ]);
  assert.deepEqual(routes, ["IPv4 by eth0"]);
  assert.equal(isOnline({ addresses, routes }), true);
  assert.equal(isOnline({ addresses, routes: [] }), false);
});
