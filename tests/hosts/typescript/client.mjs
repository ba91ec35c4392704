// Both TypeScript clients: lists, calls, and a question to the human. Usage: client.mjs <v1|legacy|auto> <words of who asks to join>
import { Client as Client2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import assert from 'node:assert/strict';

const [mode, joiner] = process.argv.slice(2);
const [me, server] = [{ name: 'test', version: '1' }, { command: 'git-parler', args: ['mcp'] }];
const questions = [];
let answer = { action: 'decline' };
const human = async (request) => (questions.push(request.params.message), answer);

async function connect() {
  if (mode === 'v1') {
    const client = new Client1(me, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, human);
    await client.connect(new Stdio1(server));
    return client;
  }
  const client = new Client2(me, { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode } });
  client.setRequestHandler('elicitation/create', human);
  await client.connect(new Stdio2(server));
  assert.equal(client.getNegotiatedProtocolVersion(), mode === 'auto' ? '2026-07-28' : '2025-11-25');
  return client;
}

async function check(name, body) {
  try {
    await body();
    console.log(`ok typescript ${mode}: ${name}`);
  } catch (error) {
    console.log(`FAILED typescript ${mode}: ${name}: ${String(error.message).replace(/\s+/g, ' ').slice(0, 600)}`);
  }
}

const client = await connect();
const call = async (tool, args = {}) => {
  const result = await client.callTool({ name: `parler_${tool}`, arguments: args });
  assert.ok(!result.isError, result.content[0].text);
  return [result.structuredContent, result.content[0].text];
};

await check('lists', async () => {
  const tools = (await client.listTools()).tools.map((tool) => tool.name.replace('parler_', ''));
  assert.deepEqual(tools, ['approve_join', 'fetch', 'join_session', 'open_session', 'push', 'recv', 'send', 'status']);
  assert.deepEqual((await client.listPrompts()).prompts.map((prompt) => prompt.name), ['join', 'share']);
  assert.deepEqual((await client.listResources()).resources.map((resource) => resource.uri), ['parler://session/current']);
  assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
});
await check('calls', async () => {
  const [status, text] = await call('status');
  assert.equal(status.role, 'owner');
  assert.match(text, new RegExp(status.session.slice(0, 12)));
  const [pushed, told] = await call('push', { base: 'HEAD~1' });
  assert.match(told, new RegExp(pushed.id.slice(0, 12)));
  const [fetched, shown] = await call('fetch', { id: pushed.id.slice(0, 12) });
  assert.equal(fetched.id, pushed.id);
  assert.match(shown, new RegExp(pushed.id.slice(0, 12)));
  const refused = await client.callTool({ name: 'parler_fetch', arguments: { id: '../..' } });
  assert.ok(refused.isError && /hint: /.test(refused.content[0].text), refused.content[0].text);
});
await check('asks the human, who says no word, and then yes', async () => {
  assert.equal((await call('approve_join', { joiner, decision: 'approve' }))[0].state, 'pending');
  answer = { action: 'accept', content: { decision: 'approve' } };
  assert.equal((await call('approve_join', { joiner, decision: 'approve' }))[0].state, 'member');
  assert.equal(questions.length, 2);
  assert.match(questions[0], new RegExp(joiner));
});
await check('reads the transcript', async () => {
  const { contents } = await client.readResource({ uri: 'parler://session/current' });
  assert.match(contents[0].text, /handed over/);
});
await client.close();
