// Problem details (RFC 9457): the body of every error of the control API.
import { type Static, Type } from 'typebox';

export const PROBLEM_TYPE = 'application/problem+json';

const IssueSchema = Type.Object({
  field: Type.String({ description: 'Dotted path; empty for the whole body.' }),
  expected: Type.String(),
  got: Type.String(),
});

export const ProblemSchema = Type.Object({
  type: Type.String({ description: 'urn:morphling:error:CODE' }),
  title: Type.String({ description: 'What the code means, the same every time.' }),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: Type.String({ description: 'What happened this time.' }),
  code: Type.String({ description: 'Stable; match on it.' }),
  issues: Type.Optional(Type.Array(IssueSchema, { description: 'Every bad field at once.' })),
});

export type Problem = Static<typeof ProblemSchema>;
