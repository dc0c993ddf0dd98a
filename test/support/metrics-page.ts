// A metrics page on a port of its own, whose answer a test can change.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MetricsPage {
  readonly url: string;
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  close(): Promise<void>;
}

export async function serveMetricsPage(text: string): Promise<MetricsPage> {
  const page: { answer: MetricsPage['answer'] } = { answer: (_, response) => void response.end(text) };
  const server = createServer((request, response) => page.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(page, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
