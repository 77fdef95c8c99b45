import { define, exitCodes } from "../error-definition.ts";

/** What the API itself may refuse, and its client meet. The registry is src/errors.ts. */
export const apiErrors = define({
  REQUEST_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "the request to {route} is not valid: {problem}",
    next: "see /v1/openapi.json on the same socket for what the route takes",
  },
  ROUTE_UNKNOWN: {
    status: 404,
    exit: exitCodes.usage,
    text: "there is no {what}",
    next: "see /v1/openapi.json on the same socket for the routes",
  },
  HOST_UNREACHABLE: {
    status: 503,
    exit: exitCodes.unreachable,
    text: "{host} cannot be reached: {cause}",
    next: "check that it runs (`atoll lab list` for machines of the lab) and that its address and your key are right",
  },
});
