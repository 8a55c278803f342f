/**
 * HTTP as an argument: small requests for health and for the control of a development cluster, answered in one piece.
 * `env/node/http.ts` is the real one.
 */
import type { Listener } from './network.ts';

export interface HttpRequest {
  readonly method: string;
  /** Decoded path without the query: `/healthz`. */
  readonly path: string;
  /** Whether a web page sent it (it carries Origin): such a one must not change anything. */
  readonly isFromWebPage: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: unknown;
}

export interface HttpServers {
  /**
   * Answers every request with what `handle` gives back; a rejection is answered 500 with its message.
   * Rejects with `AddressError` when the address cannot be had. Closing drops open connections.
   */
  listen(
    address: { readonly host: string; readonly port: number },
    handle: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>,
  ): Promise<Listener>;
}
