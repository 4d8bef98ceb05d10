// What went wrong, as a stable reason code and one line of detail.

export class Refusal extends Error {
  constructor(reason, detail) {
    super(detail);
    this.name = "Refusal";
    this.reason = reason;
  }
}

/** Any thrown thing as {reason, detail, errcode?, status?}; the homeserver's own code is kept. */
export function describe(error) {
  if (error instanceof Refusal) return { reason: error.reason, detail: error.message };
  if (error?.errcode) {
    const { errcode, httpStatus, data } = error;
    return {
      reason: "homeserver-refused",
      detail: data?.error ?? error.message,
      errcode,
      status: httpStatus,
    };
  }
  if (error?.name === "ConnectionError" || error?.message === "fetch failed")
    return { reason: "homeserver-unreachable", detail: error.message };
  return { reason: "failed", detail: error?.message ?? String(error) };
}
