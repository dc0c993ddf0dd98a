// The OpenAPI 3.1 document, from the schemas that validate.
import type { TSchema } from 'typebox';
import { toPolicyPatchSchema, toPolicySchema } from '../config/policy.ts';
import { SettingsPatchSchema } from '../config/settings.ts';
import { ExplainBodySchema } from './explain.ts';
import { HistoryBodySchema } from './history.ts';
import { PROBLEM_TYPE, ProblemSchema } from './problem.ts';
import { BypassRequestSchema, ReadyBodySchema, SessionBodySchema, SwitchesBodySchema } from './requests.ts';
import { ChangeBodySchema, SettingsBodySchema } from './settings.ts';
import { SnapshotBodySchema } from './snapshot.ts';
import { StatusBodySchema } from './status.ts';
import { StreamEventSchemas, StreamSchema } from './stream.ts';

export interface Route {
  readonly method: 'get' | 'put' | 'post';
  readonly path: string;
  readonly summary: string;
  /** Query parameters by name, with what they mean. */
  readonly query?: Readonly<Record<string, string>>;
  readonly request?: TSchema;
  readonly answer: TSchema;
  readonly answerType?: string;
  readonly status?: number;
}

const MODEL = 'Name of the model; required where there are several.';
const LIMIT = 'Entries at most, 1 to 1000; default 100.';

/** Every endpoint of the control port. */
export function toRoutes(): readonly Route[] {
  return [
    { method: 'get', path: '/v1/status', summary: 'The agent at one glance', answer: StatusBodySchema },
    { method: 'get', path: '/v1/settings', summary: 'Settings in force', answer: SettingsBodySchema },
    {
      method: 'put',
      path: '/v1/settings',
      summary: 'Changes settings; what is not given stays',
      query: { model: MODEL, immediate: 'true: at once, without a trial, and kept over a restart.' },
      request: SettingsPatchSchema,
      answer: ChangeBodySchema,
    },
    { method: 'get', path: '/v1/policy', summary: 'The policy in force', answer: toPolicySchema() },
    {
      method: 'put',
      path: '/v1/policy',
      summary: 'Changes the policy; what is not given stays, null takes back to the default',
      request: toPolicyPatchSchema(),
      answer: toPolicySchema(),
    },
    {
      method: 'post',
      path: '/v1/pause',
      summary: 'Stops deciding; what is in force stays',
      answer: SwitchesBodySchema,
    },
    { method: 'post', path: '/v1/resume', summary: 'Decides again', answer: SwitchesBodySchema },
    {
      method: 'post',
      path: '/v1/rollback',
      summary: 'Back to the last good settings',
      query: { model: MODEL },
      answer: ChangeBodySchema,
    },
    {
      method: 'post',
      path: '/v1/bypass',
      summary: 'Turns batching, trials and limits off or on',
      request: BypassRequestSchema,
      answer: SwitchesBodySchema,
    },
    {
      method: 'get',
      path: '/v1/history',
      summary: 'What became of every change, newest first',
      query: { model: 'Only this model.', limit: LIMIT },
      answer: HistoryBodySchema,
    },
    {
      method: 'get',
      path: '/v1/explain',
      summary: 'Why the last decisions were made, newest first',
      query: { model: MODEL, limit: LIMIT },
      answer: ExplainBodySchema,
    },
    { method: 'get', path: '/v1/snapshot', summary: 'What is known now', answer: SnapshotBodySchema },
    {
      method: 'get',
      path: '/v1/stream',
      summary: 'Everything as it happens',
      answer: StreamSchema,
      answerType: 'text/event-stream',
    },
    {
      method: 'post',
      path: '/v1/session',
      summary: 'A cookie for the page, 12 h',
      answer: SessionBodySchema,
      status: 201,
    },
    { method: 'get', path: '/live', summary: 'The agent runs; says nothing of the model', answer: ReadyBodySchema },
    { method: 'get', path: '/ready', summary: 'Agent and model are ready; 503 while not', answer: ReadyBodySchema },
  ];
}

/** `version` is the agent's. Plain JSON. */
export function toOpenApi(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of toRoutes()) (paths[route.path] ??= {})[route.method] = toOperation(route);
  return {
    openapi: '3.1.0',
    info: { title: 'Morphling agent, control API', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: 'http://127.0.0.1:9465' }],
    paths,
    components: {
      schemas: { Problem: ProblemSchema, ...toEventSchemas() },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The file `token` of the state directory.' },
        session: { type: 'apiKey', in: 'cookie', name: 'morphling_session' },
      },
    },
  };
}

function toOperation(route: Route): Record<string, unknown> {
  const { method, summary, query = {}, request, answer, answerType = 'application/json', status = 200 } = route;
  const problem = { content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } };
  return {
    summary,
    operationId: `${method}${route.path.replaceAll(/[^A-Za-z0-9]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    ...(method === 'get' ? {} : { security: [{ token: [] }, { session: [] }] }),
    parameters: Object.entries(query).map(([name, description]) => ({
      name,
      in: 'query',
      description,
      schema: { type: 'string' },
    })),
    ...(request === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: request } } } }),
    responses: {
      [status]: { description: 'Done', content: { [answerType]: { schema: answer } } },
      default: { description: 'Refused', ...problem },
    },
  };
}

function toEventSchemas(): Record<string, TSchema> {
  return Object.fromEntries(Object.entries(StreamEventSchemas).map(([name, schema]) => [`Event_${name}`, schema]));
}
