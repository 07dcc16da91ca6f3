/** The tools that answer at once: every kind of content, progress, log messages, errors, changes of lists, schemas kept as they are. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type JsonSchemaType, MissingRequiredClientCapabilityError, type ServerContext } from '@modelcontextprotocol/server';
import { clientCapabilities, type EverythingTool, PNG, stringsSchema, textResult, WAV } from './everything-tool.ts';

const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' };
const text = (value: string) => ({ type: 'text' as const, text: value });
const embedded = (uri: string, mimeType: string, value: string) => ({
  type: 'resource' as const,
  resource: { uri, mimeType, text: value },
});

/** Keywords that a proxy which rewrites schemas would lose (SEP-1613, SEP-2106). */
const keptSchema: JsonSchemaType = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

export const plainTools: readonly EverythingTool[] = [
  {
    name: 'test_simple_text',
    description: 'Answers with a text.',
    call: () => textResult('This is a simple text response for testing.'),
  },
  { name: 'test_image_content', description: 'Answers with an image.', call: () => ({ content: [image] }) },
  {
    name: 'test_audio_content',
    description: 'Answers with a sound.',
    call: () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'Answers with a resource.',
    call: () => ({ content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')] }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'Answers with a text, an image and a resource.',
    call: () => ({
      content: [
        text('Multiple content types test:'),
        image,
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
      ],
    }),
  },
  {
    name: 'test_error_handling',
    description: 'Fails, whatever it is asked.',
    call: () => {
      throw new Error('This tool intentionally returns an error for testing');
    },
  },
  { name: 'test_tool_with_logging', description: 'Sends three log messages on its way.', call: logThrice },
  { name: 'test_logging_tool', description: 'Logs where the request asked for it.', call: logThrice },
  { name: 'test_tool_with_progress', description: 'Reports its progress three times.', call: reportProgress },
  {
    name: 'test_reconnection',
    description: 'Ends its stream in the middle of the call; the answer waits for whoever resumes it (SEP-1699).',
    call: async (_, ctx) => {
      ctx.http?.closeSSE?.();
      await sleep(100, undefined, { signal: ctx.mcpReq.signal });
      return textResult('Answered after the stream was closed.');
    },
  },
  {
    name: 'test_missing_capability',
    description: 'Works only for clients that can sample.',
    call: (_, ctx) => {
      if (clientCapabilities(ctx).sampling === undefined)
        throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
      return textResult('The client can sample.');
    },
  },
  {
    name: 'test_trigger_tool_change',
    description: 'Adds a tool, or takes it away again.',
    call: (_, __, world) => {
      world.extra.tool = !world.extra.tool;
      world.announce('tools');
      return textResult('The list of tools has changed.');
    },
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Adds a prompt, or takes it away again.',
    call: (_, __, world) => {
      world.extra.prompt = !world.extra.prompt;
      world.announce('prompts');
      return textResult('The list of prompts has changed.');
    },
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Takes arguments by a schema with keywords of draft 2020-12.',
    inputSchema: keptSchema,
    call: (args) => textResult(`Received ${JSON.stringify(args)}`),
  },
  {
    name: 'test_header_mirror',
    description: 'Has an argument that a header mirrors (SEP-2243).',
    inputSchema: {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
      required: ['region'],
    } as JsonSchemaType,
    call: ({ region }) => textResult(`In ${region}`),
  },
  {
    name: 'greet',
    description: 'Says hello, at once and never as a task.',
    inputSchema: stringsSchema('name'),
    call: ({ name }) => textResult(`Hello, ${name}!`),
  },
];

/** There only in every second state of the list. */
export const extraTool: EverythingTool = {
  name: 'test_extra_tool',
  description: 'Comes and goes.',
  call: () => textResult('Here for now.'),
};

async function logThrice(_: unknown, ctx: ServerContext) {
  await ctx.mcpReq.log('info', 'Tool execution started');
  await sleep(50);
  await ctx.mcpReq.log('info', 'Tool processing data');
  await sleep(50);
  await ctx.mcpReq.log('info', 'Tool execution completed');
  return textResult('Done, and told three times.');
}

async function reportProgress(_: unknown, ctx: ServerContext) {
  const { progressToken } = ctx.mcpReq._meta ?? {};
  for (const progress of [0, 50, 100]) {
    if (progress > 0) await sleep(50);
    if (progressToken === undefined) continue;
    await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
  }
  return textResult('Done, in three steps.');
}
