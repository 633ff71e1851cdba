/**
 * Where a stream transport takes control messages: the port to whoever carries them out (src/control).
 */
import type { ControlReply, ControlRequest } from '../../protocol/control.ts';

/** What the answer may depend on beside the request. Plain data: it crosses threads by clone. */
export interface ControlSession {
  /** 32 hex digits, drawn for this connection alone. */
  nonce: string;
  /** TLS, or a peer on this machine: nobody on a network reads the operator's token. */
  isProtected: boolean;
}

export interface ControlPort {
  /** Never rejects: what goes wrong is a reply too. */
  request(request: ControlRequest, session: ControlSession): Promise<ControlReply>;
}
