/** Prompts, resources and completions of the everything-server. */
import { acceptedContent, completable, inputRequired, type McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { PNG, stringsSchema, type World } from './everything-tool.ts';

const said = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } });
const words = ['paris', 'park', 'party', 'test', 'testing'];
const word = completable(z.string(), (value) => words.filter((one) => one.startsWith(value)));

export function addPrompts(server: McpServer, world: World): void {
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments.' }, () => ({
    messages: [said('This is a simple prompt for testing.')],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'A prompt with two arguments.', argsSchema: z.object({ arg1: word, arg2: word }) },
    ({ arg1, arg2 }) => ({ messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource in it.', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri: uri }) => {
      const resource = { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' };
      return {
        messages: [
          { role: 'user', content: { type: 'resource', resource } },
          said('Please process the embedded resource above.'),
        ],
      };
    },
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image in it.' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      said('Please analyze the image above.'),
    ],
  }));
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'A prompt that needs an answer from the user first.' },
    (ctx) => {
      const answer = acceptedContent<{ context?: unknown }>(ctx.mcpReq.inputResponses, 'user_context');
      if (typeof answer?.context === 'string') return { messages: [said(`Use this context: ${answer.context}`)] };
      const message = 'What context should the prompt use?';
      return inputRequired({
        inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema: stringsSchema('context') }) },
      });
    },
  );
  if (!world.extra.prompt) return;
  server.registerPrompt('test_extra_prompt', { description: 'Comes and goes.' }, () => ({ messages: [said('Here for now.')] }));
}

export function addResources(server: McpServer): void {
  const text = { description: 'A text that never changes.', mimeType: 'text/plain' };
  server.registerResource('static-text', 'test://static-text', text, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }));
  const binary = { description: 'An image that never changes.', mimeType: 'image/png' };
  server.registerResource('static-binary', 'test://static-binary', binary, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'image/png', blob: PNG }],
  }));
  const watched = { description: 'A text to subscribe to.', mimeType: 'text/plain' };
  server.registerResource('watched', 'test://watched-resource', watched, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'text/plain', text: 'Watched.' }],
  }));
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const data = { description: 'Data by its id.', mimeType: 'application/json' };
  server.registerResource('template', template, data, ({ href }, { id }) => ({
    contents: [
      { uri: href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) },
    ],
  }));
}
