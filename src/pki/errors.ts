import { define, exitCodes } from "../error-definition.ts";

/** What the fleet's certificates may be refused for. The registry is src/errors.ts. */
export const pkiErrors = define({
  NAME_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: '"{name}" cannot be {what}',
    next: "use {rule}",
  },
  LIFE_INVALID: {
    status: 400,
    exit: exitCodes.usage,
    text: "a certificate for a {profile} cannot hold for {wanted} seconds",
    next: "ask for a whole number of seconds from {shortest} to {longest}",
  },
  REQUEST_UNUSABLE: {
    status: 400,
    exit: exitCodes.refused,
    text: "no certificate can be issued for this request: {problem}",
    next: "make a new key and a request with it; nothing was issued",
  },
  AUTHORITY_UNFIT: {
    status: 409,
    exit: exitCodes.refused,
    text: "this authority cannot issue a certificate for a {profile}: {problem}",
    next: "compare its certificate with the clock; an authority near its end is replaced by a rotation",
  },
  CERTIFICATE_INVALID: {
    status: 400,
    exit: exitCodes.refused,
    text: "{where} cannot be used: {problem}",
    next: "have a certificate issued by the fleet that this is for",
  },
  CERTIFICATE_REFUSED: {
    status: 401,
    exit: exitCodes.refused,
    text: "the certificate that was shown is not accepted: {problem}",
    next: "{remedy}",
  },
  CERTIFICATE_ABSENT: {
    status: 401,
    exit: exitCodes.refused,
    text: "{action} needs a certificate, and none was shown",
    next: "log in to the fleet, or call from one of its machines",
  },
  ACTION_FORBIDDEN: {
    status: 403,
    exit: exitCodes.refused,
    text: "{who} may not do {action}: it takes {needed}",
    next: "ask an admin of the fleet to do it, or to give the role",
  },
  ROTATION_REFUSED: {
    status: 409,
    exit: exitCodes.refused,
    text: "the authority's rotation cannot go on from {state}: {problem}",
    next: "{remedy}; nothing was changed, and everything goes on working",
  },
  JOIN_TOKEN_MANGLED: {
    status: 400,
    exit: exitCodes.usage,
    text: "this is not a whole join token: {problem}",
    next: "copy it again, from `atoll1.` to its end",
  },
  JOIN_TOKEN_LIMITS: {
    status: 400,
    exit: exitCodes.usage,
    text: "a join token cannot have {limit} {value}",
    next: "use {rule}",
  },
  JOIN_TOKEN_UNKNOWN: {
    status: 403,
    exit: exitCodes.refused,
    text: "the fleet knows no join token {id} with this secret",
    next: "have a new one made by an admin of the fleet that you mean; it may have been taken back",
  },
  JOIN_TOKEN_EXPIRED: {
    status: 403,
    exit: exitCodes.refused,
    text: "the join token {id} ended at {at}",
    next: "have a new one made by an admin of the fleet; if it is new, check the clocks",
  },
  JOIN_TOKEN_USED_UP: {
    status: 403,
    exit: exitCodes.refused,
    text: "the join token {id} was used as often as it may be",
    next: "have a new one made by an admin of the fleet, with more uses if several machines are to join",
  },
  FIRST_CONTACT_FAILED: {
    status: 502,
    exit: exitCodes.unreachable,
    text: "{address} cannot be asked for the fleet's authority: {problem}",
    next: "check the address, the port and the network; nothing was sent to it",
  },
  FIRST_CONTACT_STRANGER: {
    status: 502,
    exit: exitCodes.refused,
    text: "{address} is not a control machine of the fleet that the token is for: {problem}",
    next: "check the address; if it is right, make a new token (the authority may have been rotated). Nothing was sent to it",
  },
});
