import assert from "node:assert/strict";
import { test } from "node:test";
import type { Identity } from "./identity.ts";
import { isPermitted, type Permission, type Permissions, requirePermission } from "./permissions.ts";

const fleet = "harbour";
const viewer: Identity = { kind: "person", fleet, name: "vera", role: "viewer" };
const operator: Identity = { kind: "person", fleet, name: "otto", role: "operator" };
const admin: Identity = { kind: "person", fleet, name: "anna", role: "admin" };
const worker: Identity = { kind: "machine", fleet, id: "0".repeat(32), role: "worker" };
const control: Identity = { kind: "machine", fleet, id: "1".repeat(32), role: "control" };

const actions: Permissions<"read" | "change" | "invite" | "report" | "renew" | "sync" | "never"> = {
  read: { person: "viewer", machine: "any" },
  change: { person: "operator", machine: "none" },
  invite: { person: "admin", machine: "none" },
  report: { person: "nobody", machine: "any" },
  renew: { person: "viewer", machine: "any" },
  sync: { person: "admin", machine: "control" },
  never: { person: "nobody", machine: "none" },
};

function allowed(permission: Permission): string {
  const everybody = { viewer, operator, admin, worker, control };
  const names = Object.entries(everybody).filter(([, identity]) => isPermitted(permission, identity));
  return names.map(([name]) => name).join(" ");
}

test("a role may do what lesser roles may; machines only what is said of them", () => {
  assert.equal(allowed(actions.read), "viewer operator admin worker control");
  assert.equal(allowed(actions.change), "operator admin");
  assert.equal(allowed(actions.invite), "admin");
  assert.equal(allowed(actions.report), "worker control");
  assert.equal(allowed(actions.sync), "admin control");
  assert.equal(allowed(actions.never), "");
});

test("a refusal says who, what, and what it takes", () => {
  requirePermission(actions, admin, "invite");
  assert.throws(() => requirePermission(actions, viewer, "change"), {
    code: "ACTION_FORBIDDEN",
    message: "person vera (viewer) may not do change: it takes the role operator",
  });
  assert.throws(() => requirePermission(actions, worker, "sync"), {
    code: "ACTION_FORBIDDEN",
    message: /\(worker\) may not do sync: it takes the role admin or a control machine/,
  });
  assert.throws(() => requirePermission(actions, null, "read"), { code: "CERTIFICATE_ABSENT" });
});
