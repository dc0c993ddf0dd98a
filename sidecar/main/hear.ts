// What the supervisor says, to those whom it concerns.
import type { Socket } from 'node:net';
import type { FromSupervisor, RestartCounts, ToData, ToSupervisor } from '../../src/core/processes.ts';

/** What the process around it needs to reach. */
export interface DataProcess {
  /** A connection that the supervisor accepted. */
  take(socket: Socket): void;
  received(message: ToData): void;
  setMind(isUp: boolean): void;
  /** How often each process has been started again, by why. */
  setRestarts(counts: RestartCounts): void;
  /** The first call drains, a second one shortens it. */
  drain(): void;
}

/** One message, with the handle that came with it. */
export function hear(
  data: DataProcess,
  post: (message: ToSupervisor) => void,
  message: FromSupervisor,
  socket: Socket | undefined,
): void {
  switch (message.kind) {
    case 'connection':
      post({ kind: 'accepted', id: message.id });
      // Undefined: the caller left while its handle was on the way.
      if (socket !== undefined) data.take(socket);
      break;
    case 'drain':
      data.drain();
      break;
    case 'ping':
      post({ kind: 'pong' });
      break;
    case 'restarts':
      data.setRestarts(message.counts);
      break;
    case 'mind':
      data.setMind(message.state === 'up');
      break;
    case 'relayed':
      data.received(message.message as ToData);
      break;
    default:
      message satisfies never;
  }
}
