/** Through this port a stream transport passes control messages to src/control, which answers them. */
import type { ControlReply, ControlRequest } from '../../protocol/control.ts';

/** What an answer may depend on besides the request. Plain data, which is cloned between threads. */
export interface ControlSession {
  /** 32 hex digits, drawn for this connection alone. */
  nonce: string;
  /** Whether nobody on a network can read the operator's token: with TLS, or from this machine. */
  isProtected: boolean;
}

export interface ControlPort {
  /** Never rejects: an error is a reply too. */
  request(request: ControlRequest, session: ControlSession): Promise<ControlReply>;
}
