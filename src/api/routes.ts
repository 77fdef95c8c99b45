/** Every route of the local API. */
import type { Host } from "../host/host.ts";
import type { HostRequests, HostVerb } from "../host/model.ts";
import { treeDiffSchema } from "../host/schemas.ts";
import { type Route, route, streamRoute } from "./route.ts";
import * as schemas from "./schemas.ts";

export interface ApiParts {
  readonly host: Host;
  /** Of the daemon. */
  readonly version: string;
}

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

export function routes(parts: ApiParts): Route[] {
  return [...hostRoutes(parts), ...verbRoutes(parts), ...operationRoutes(parts), versionRoute(parts)];
}

function hostRoutes({ host }: ApiParts): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/host",
      summary: "What this host is: deployments, trial, health, update",
      shape: {},
      response: schemas.statusResponseSchema,
      handle: async ({ signal }) => ({
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
      handle: ({ query }) => host.history(Number(query.limit ?? "50")),
    }),
    route({
      method: "GET",
      path: "/v1/host/health",
      summary: "The health checks of this boot",
      shape: { query: schemas.healthQuerySchema },
      response: schemas.healthResponseSchema,
      handle: ({ query, signal }) => host.health(query.fresh === "true", signal),
    }),
    route({
      method: "GET",
      path: "/v1/host/diff",
      summary: "Packages that differ between two trees; by default the booted one and what boots next",
      shape: { query: schemas.diffQuerySchema },
      errors: ["DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "UPDATE_UNKNOWN", "COMMIT_UNREADABLE"],
      response: treeDiffSchema,
      handle: ({ query }) => host.diff(query.from ?? "booted", query.to ?? "0"),
    }),
  ];
}

function verbRoutes({ host }: ApiParts): Route[] {
  const begin = <Verb extends HostVerb>(verb: Verb, body: HostRequests[Verb]): ReturnType<Host["begin"]> =>
    host.begin(verb, body);
  const common = { method: "POST", status: 202, response: schemas.operationSchema } as const;
  const busy = ["BUSY", "ON_TRIAL"] as const;
  return [
    route({
      ...common,
      path: "/v1/host/upgrade",
      summary: "Follow the branch to its newest tree",
      shape: { body: schemas.upgradeRequestSchema },
      errors: [...busy, ...remoteErrors, "DOWNGRADE", "REMEMBERED_BAD"],
      handle: ({ body }) => begin("upgrade", body),
    }),
    route({
      ...common,
      path: "/v1/host/rollback",
      summary: "Go back to the deployment before",
      shape: { body: schemas.rollbackRequestSchema },
      errors: [...busy, "NO_ROLLBACK"],
      handle: ({ body }) => begin("rollback", body),
    }),
    route({
      ...common,
      path: "/v1/host/rebase",
      summary: "Follow another branch",
      shape: { body: schemas.rebaseRequestSchema },
      errors: [...busy, ...remoteErrors, "DOWNGRADE", "REMEMBERED_BAD"],
      handle: ({ body }) => begin("rebase", body),
    }),
    route({
      ...common,
      path: "/v1/host/deploy",
      summary: "Go to one version, older or newer",
      shape: { body: schemas.deployRequestSchema },
      errors: [...busy, ...remoteErrors, "DEPLOYMENT_UNKNOWN"],
      handle: ({ body }) => begin("deploy", body),
    }),
    route({
      ...common,
      path: "/v1/host/pin",
      summary: "Keep a deployment whatever comes",
      shape: { body: schemas.pinRequestSchema },
      errors: [...busy, "DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "PIN_STAGED"],
      handle: ({ body }) => begin("pin", body),
    }),
    route({
      ...common,
      path: "/v1/host/unpin",
      summary: "No longer keep a deployment",
      shape: { body: schemas.pinRequestSchema },
      errors: [...busy, "DEPLOYMENT_UNKNOWN", "DEPLOYMENT_AMBIGUOUS", "PIN_STAGED"],
      handle: ({ body }) => begin("unpin", body),
    }),
    route({
      ...common,
      path: "/v1/host/kargs",
      summary: "Change the kernel arguments, all as asked or none",
      shape: { body: schemas.kargsRequestSchema },
      errors: [...busy, "KARG_INVALID", "KARG_UNKNOWN", "KARG_AMBIGUOUS", "KARGS_REMEMBERED_BAD"],
      handle: ({ body }) => begin("kargs", body),
    }),
    route({
      ...common,
      path: "/v1/host/cleanup",
      summary: "Remove deployments, and what no deployment uses",
      shape: { body: schemas.cleanupRequestSchema },
      errors: busy,
      handle: ({ body }) => begin("cleanup", body),
    }),
    route({
      ...common,
      path: "/v1/host/usroverlay",
      summary: "Make /usr writable until the next boot",
      shape: { body: schemas.usroverlayRequestSchema },
      errors: [...busy, "UNLOCK_FAILED"],
      handle: () => begin("usroverlay", {}),
    }),
  ];
}

function operationRoutes({ host: { operations } }: ApiParts): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/operations",
      summary: "The operations of this boot, newest first",
      shape: {},
      response: schemas.operationsResponseSchema,
      handle: () => ({ operations: operations.list() }),
    }),
    route({
      method: "GET",
      path: "/v1/operations/{id}",
      summary: "One operation",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN"],
      response: schemas.operationSchema,
      handle: ({ parameters }) => operations.get(parameters.id),
    }),
    streamRoute({
      method: "GET",
      path: "/v1/operations/{id}/events",
      summary: "What an operation does, from its start until it ends: one JSON object a line",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN"],
      response: schemas.operationEventSchema,
      handle: ({ parameters, signal }) => operations.events(parameters.id, signal),
    }),
    route({
      method: "DELETE",
      path: "/v1/operations/{id}",
      summary: "Ask an operation to stop at the next safe point",
      shape: { parameters: schemas.operationParametersSchema },
      errors: ["OPERATION_UNKNOWN", "NOT_CANCELLABLE"],
      status: 202,
      response: schemas.operationSchema,
      handle: ({ parameters }) => operations.cancel(parameters.id),
    }),
  ];
}

function versionRoute({ version }: ApiParts): Route {
  return route({
    method: "GET",
    path: "/v1/version",
    summary: "Versions of daemon and API",
    shape: {},
    response: schemas.versionResponseSchema,
    handle: () => ({ version, api: "v1" }),
  });
}
