/**
 * The tools that need an answer from the client before they can give theirs: by a request of their own in the legacy era,
 * by `input_required` and a second call in the modern one (SEP-2322).
 */
import {
  acceptedContent,
  type CreateMessageRequestParams,
  type ElicitRequestFormParams,
  type InputRequests,
  inputRequired,
  inputResponse,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { clientCapabilities, type EverythingTool, stringsSchema, textResult, type World } from './everything-tool.ts';

const sampling = (question: string, maxTokens = 100): CreateMessageRequestParams => ({
  messages: [{ role: 'user', content: { type: 'text', text: question } }],
  maxTokens,
});
const askName = () => inputRequired.elicit({ message: 'What is your name?', requestedSchema: stringsSchema('name') });
const askCapital = () => inputRequired.createMessage(sampling('What is the capital of France?'));
const askConfirmation = () =>
  inputRequired.elicit({
    message: 'Please confirm',
    requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  });

const DEFAULTS: Form = {
  type: 'object',
  properties: {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  },
};

const options = ['option1', 'option2', 'option3'];
const titled = (kind: string) =>
  ['First', 'Second', 'Third'].map((nth, index) => ({ const: `value${index + 1}`, title: `${nth} ${kind}` }));

const ENUMS: Form = {
  type: 'object',
  properties: {
    untitledSingle: { type: 'string', enum: options },
    titledSingle: { type: 'string', oneOf: titled('Option') },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
    titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
  },
};

/**
 * Questions in the legacy era: requests of the server on the stream of the call. The SDK's `elicitInput` and `requestSampling`
 * would take the stream of GET, which may open only after the call: then the question is lost.
 */
const pushing: readonly EverythingTool[] = [
  {
    name: 'test_sampling',
    description: 'Has the client ask its model.',
    inputSchema: stringsSchema('prompt'),
    call: async ({ prompt }, ctx) => {
      const { content } = await ctx.mcpReq.send({ method: 'sampling/createMessage', params: sampling(prompt) });
      const said = Array.isArray(content) ? content[0] : content;
      return textResult(`LLM response: ${said?.type === 'text' ? said.text : JSON.stringify(said)}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Has the client ask its user.',
    inputSchema: stringsSchema('message'),
    call: async ({ message }, ctx) => {
      const answer = await elicit(ctx, message, stringsSchema('username', 'email'));
      return textResult(`User response: action=${answer.action}, content=${JSON.stringify(answer.content)}`);
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks the user by a form with defaults.',
    call: (_, ctx) => completeForm(ctx, 'Please review your profile', DEFAULTS),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks the user by a form with every kind of choice.',
    call: (_, ctx) => completeForm(ctx, 'Please choose', ENUMS),
  },
];

type Form = ElicitRequestFormParams['requestedSchema'];

function elicit(ctx: ServerContext, message: string, requestedSchema: Form) {
  return ctx.mcpReq.send({ method: 'elicitation/create', params: { message, requestedSchema } });
}

async function completeForm(ctx: ServerContext, message: string, requestedSchema: Form) {
  const { action, content } = await elicit(ctx, message, requestedSchema);
  return textResult(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`);
}

/** Questions in the modern era: the answer comes with the next call. */
const returning: readonly EverythingTool[] = [
  {
    name: 'test_input_required_result_elicitation',
    description: 'Needs a name from the user.',
    call: (_, ctx) => {
      const answer = acceptedContent<{ name?: unknown }>(ctx.mcpReq.inputResponses, 'user_name');
      return typeof answer?.name === 'string'
        ? textResult(`Hello, ${answer.name}!`)
        : inputRequired({ inputRequests: { user_name: askName() } });
    },
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Needs a confirmation, and never asks for it by a request on the stream.',
    call: (_, ctx) =>
      answered(ctx, 'confirm') ? textResult('Confirmed.') : inputRequired({ inputRequests: { confirm: askConfirmation() } }),
  },
  {
    name: 'test_input_required_result_sampling',
    description: "Needs a word from the client's model.",
    call: (_, ctx) =>
      answered(ctx, 'capital_question')
        ? textResult(`The model said ${JSON.stringify(ctx.mcpReq.inputResponses?.capital_question)}`)
        : inputRequired({ inputRequests: { capital_question: askCapital() } }),
  },
  {
    name: 'test_input_required_result_list_roots',
    description: "Needs the client's roots.",
    call: (_, ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, 'client_roots');
      return answer.kind === 'roots'
        ? textResult(`Roots: ${answer.roots.map(({ uri }) => uri).join(', ')}`)
        : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Needs a confirmation, and the state that it gave out.',
    call: (_, ctx, world) => confirmWithState(ctx, world, 'state-ok'),
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Refuses a state that it did not give out.',
    call: (_, ctx, world) => confirmWithState(ctx, world, 'The state is as it was.'),
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Needs three answers of three kinds at once.',
    call: async (_, ctx, world) => {
      const keys = ['user_name', 'greeting', 'client_roots'];
      if (hasState(ctx, 1) && keys.every((key) => answered(ctx, key))) return textResult('All three answers are here.');
      const inputRequests = {
        user_name: askName(),
        greeting: inputRequired.createMessage(sampling('Generate a greeting', 50)),
        client_roots: inputRequired.listRoots(),
      };
      return inputRequired({ inputRequests, requestState: await world.states.mint({ round: 1 }) });
    },
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice, one question after the other.',
    call: async (_, ctx, world) => {
      if (hasState(ctx, 2) && answered(ctx, 'step2')) return textResult('Both steps are done.');
      const [round, key, message, member] =
        hasState(ctx, 1) && answered(ctx, 'step1')
          ? [2, 'step2', 'Step 2: What is your favorite color?', 'color']
          : ([1, 'step1', 'Step 1: What is your name?', 'name'] as const);
      const question = inputRequired.elicit({ message, requestedSchema: stringsSchema(member) });
      return inputRequired({ inputRequests: { [key]: question }, requestState: await world.states.mint({ round }) });
    },
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks only what the client can answer.',
    call: (_, ctx) => {
      const { elicitation, sampling: canSample } = clientCapabilities(ctx);
      const inputRequests: InputRequests = {
        ...(elicitation === undefined ? {} : { user_name: askName() }),
        ...(canSample === undefined ? {} : { capital_question: askCapital() }),
      };
      const open = Object.entries(inputRequests).filter(([key]) => !answered(ctx, key));
      return open.length === 0
        ? textResult('Nothing is left to ask.')
        : inputRequired({ inputRequests: Object.fromEntries(open) });
    },
  },
];

export const askingTools: readonly EverythingTool[] = [...pushing, ...returning];

async function confirmWithState(ctx: ServerContext, world: World, text: string) {
  if (hasState(ctx, 1) && answered(ctx, 'confirm')) return textResult(text);
  const requestState = await world.states.mint({ round: 1 });
  return inputRequired({ inputRequests: { confirm: askConfirmation() }, requestState });
}

function answered(ctx: ServerContext, key: string): boolean {
  return inputResponse(ctx.mcpReq.inputResponses, key).kind !== 'missing';
}

/** The SDK has verified it by then. */
function hasState(ctx: ServerContext, round: number): boolean {
  return ctx.mcpReq.requestState<{ round: number }>()?.round === round;
}
