/** Every route of the local API. */
import { treeDiffSchema } from "../host/schemas.ts";
import { type Route, route, streamRoute } from "./route.ts";
import * as schemas from "./schemas.ts";

/** Codes of a verb that looks at a remote. */
const remoteErrors = [
  "NO_REMOTE",
  "REMOTE_UNREACHABLE",
  "REF_UNKNOWN",
  "COMMIT_UNSIGNED",
  "COMMIT_KEY_UNKNOWN",
  "COMMIT_KEY_REVOKED",
  "COMMIT_KEY_EXPIRED",
  "COMMIT_SIGNATURE_BAD",
  "TREE_TAMPERED",
  "NO_SPACE",
] as const;

export function routes(): Route[] {
  return [...hostRoutes(), ...verbRoutes(), ...operationRoutes(), versionRoute()];
}

function hostRoutes(): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/host",
      summary: "What this host is: deployments, trial, health, update",
      shape: {},
      response: schemas.statusResponseSchema,
      handle: async ({ signal }, { host }) => ({
        ...(await host.status(signal)),
        operation: host.operations.running(),
      }),
    }),
    route({
      method: "GET",
      path: "/v1/host/history",
      summary: "Boots, updates, fallbacks, newest first; and the trees that fell back",
      shape: { query: schemas.historyQuerySchema },
      response: schemas.historyResponseSchema,
      handle: ({ query }, { host }) => host.history(Number(query.limit ?? "50")),
    }),
    route({
      method: "GET",
      path: "/v1/host/health",
      summary: "The health checks of this boot",
      shape: { query: schemas.healthQuerySchema },
      response: schemas.healthResponseSchema,
      handle: ({ query, signal }, { host }) => host.health(query.fresh === "true", signal),
    }),
    route({
      method: "GET",
      path: "/v1/host/diff",
      summary: "Packages that differ between two trees; by default the booted one and what boots next",
      shape: { query: schemas.diffQuerySchema },
      errors: ["DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "UPDATE_UNKNOWN", "COMMIT_UNREADABLE"],
      response: treeDiffSchema,
      handle: ({ query }, { host }) => host.diff(query.from ?? "booted", query.to ?? "0"),
    }),
  ];
}

function verbRoutes(): Route[] {
  const common = { method: "POST", status: 202, response: schemas.operationSchema } as const;
  const busy = ["BUSY", "ON_TRIAL"] as const;
  return [
    route({
      ...common,
      path: "/v1/host/upgrade",
      summary: "Follow the branch to its newest tree",
      shape: { body: schemas.upgradeRequestSchema },
      errors: [...busy, ...remoteErrors, "DOWNGRADE", "REMEMBERED_BAD"],
      handle: ({ body }, { host }) => host.begin("upgrade", body),
    }),
    route({
      ...common,
      path: "/v1/host/rollback",
      summary: "Go back to the deployment before",
      shape: { body: schemas.rollbackRequestSchema },
      errors: [...busy, "NO_ROLLBACK"],
      handle: ({ body }, { host }) => host.begin("rollback", body),
    }),
    route({
      ...common,
      path: "/v1/host/rebase",
      summary: "Follow another branch",
      shape: { body: schemas.rebaseRequestSchema },
      errors: [...busy, ...remoteErrors, "DOWNGRADE", "REMEMBERED_BAD"],
      handle: ({ body }, { host }) => host.begin("rebase", body),
    }),
    route({
      ...common,
      path: "/v1/host/deploy",
      summary: "Go to one version, older or newer",
      shape: { body: schemas.deployRequestSchema },
      errors: [...busy, ...remoteErrors, "DEPLOYMENT_UNKNOWN"],
      handle: ({ body }, { host }) => host.begin("deploy", body),
    }),
    route({
      ...common,
      path: "/v1/host/pin",
      summary: "Keep a deployment whatever comes",
      shape: { body: schemas.pinRequestSchema },
      errors: [...busy, "DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "PIN_STAGED"],
      handle: ({ body }, { host }) => host.begin("pin", body),
    }),
    route({
      ...common,
      path: "/v1/host/unpin",
      summary: "No longer keep a deployment",
      shape: { body: schemas.pinRequestSchema },
      errors: [...busy, "DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "PIN_STAGED"],
      handle: ({ body }, { host }) => host.begin("unpin", body),
    }),
    route({
      ...common,
      path: "/v1/host/kargs",
      summary: "Change the kernel arguments, all as asked or none",
      shape: { body: schemas.kargsRequestSchema },
      errors: [
        ...busy,
        "KARG_INVALID",
        "KARG_UNKNOWN",
        "KARG_AMBIGUOUS",
        "KARGS_REMEMBERED_BAD",
        "NO_REMOTE",
      ],
      handle: ({ body }, { host }) => host.begin("kargs", body),
    }),
    route({
      ...common,
      path: "/v1/host/cleanup",
      summary: "Remove deployments, and what no deployment uses",
      shape: { body: schemas.cleanupRequestSchema },
      errors: busy,
      handle: ({ body }, { host }) => host.begin("cleanup", body),
    }),
    route({
      ...common,
      path: "/v1/host/usroverlay",
      summary: "Make /usr writable until the next boot",
      shape: { body: schemas.usroverlayRequestSchema },
      errors: [...busy, "UNLOCK_FAILED"],
      handle: (_, { host }) => host.begin("usroverlay", {}),
    }),
  ];
}

function operationRoutes(): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/operations",
      summary: "The operations of this boot, newest first",
      shape: {},
      response: schemas.operationsResponseSchema,
      handle: (_, { host }) => ({ operations: host.operations.list() }),
    }),
    route({
      method: "GET",
      path: "/v1/operations/{id}",
      summary: "One operation",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN"],
      response: schemas.operationSchema,
      handle: ({ parameters }, { host }) => host.operations.get(parameters.id),
    }),
    streamRoute({
      method: "GET",
      path: "/v1/operations/{id}/events",
      summary: "What an operation does, from its start until it ends: one JSON object a line",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN"],
      response: schemas.operationEventSchema,
      handle: ({ parameters, signal }, { host }) => host.operations.events(parameters.id, signal),
    }),
    route({
      method: "DELETE",
      path: "/v1/operations/{id}",
      summary: "Ask an operation to stop at the next safe point",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN", "NOT_CANCELLABLE"],
      status: 202,
      response: schemas.operationSchema,
      handle: ({ parameters }, { host }) => host.operations.cancel(parameters.id),
    }),
  ];
}

function versionRoute(): Route {
  return route({
    method: "GET",
    path: "/v1/version",
    summary: "Versions of daemon and API",
    shape: {},
    response: schemas.versionResponseSchema,
    handle: (_, { version }) => ({ version, api: "v1" }),
  });
}
