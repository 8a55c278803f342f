/** How long do the ends of a connection between brokers wait for each other (§2.3)? All in milliseconds. */
export interface PeerTimings {
  /** For a new connection to be made and its stream to be accepted. */
  readonly connectTimeLimitMs: number;
  /** Between the client's pings, which the server's kernel does not answer: its process does. */
  readonly keepaliveMs: number;
  /** Nothing received for this long: the connection is lost. */
  readonly silenceLimitMs: number;
  /** How often silence is looked for. */
  readonly tickMs: number;
  /** For the other end to close its side of a stream that this end has closed. */
  readonly lingerMs: number;
  /** For an accepted connection to open a stream; whoever does not is no broker. */
  readonly strangerLimitMs: number;
}

export const defaultPeerTimings: PeerTimings = {
  connectTimeLimitMs: 2_000,
  keepaliveMs: 1_000,
  silenceLimitMs: 3_000,
  tickMs: 500,
  lingerMs: 1_000,
  strangerLimitMs: 10_000,
};
