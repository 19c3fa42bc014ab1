/*
 * Drives the official clients of Node.js against a hub: all cases of all of
 * them in this one process. What it is to do is argument 1, as JSON: url, key,
 * and by dialect the models of each use. A line of JSON per case is said.
 */
"use strict";

const load = require("node:module").createRequire(
    process.env.CLIENTS_DIR + "/");
const openai = load("openai");
const anthropic = load("@anthropic-ai/sdk");
const google = load("@google/genai");
const aws = load("@aws-sdk/client-bedrock-runtime");
const http1 = load("@smithy/node-http-handler");

const job = JSON.parse(process.argv[2]);
const ask = "How deep is the harbour?";
const chat = [{role: "user", content: ask}];
const enough = 2; /* pieces of a stream that is left early */

/* Pieces of a stream; leave() ends it before its end. */
async function collect(items, text, limit, leave) {
	const pieces = [];

	for await (const item of items) {
		const piece = text(item);

		if (piece)
			pieces.push(piece);
		if (pieces.length === limit) {
			if (leave)
				leave();
			break;
		}
	}
	return pieces;
}

function openaiLike(make) {
	return (key) => {
		const client = make(key);
		const create = (model, more) => client.chat.completions.create(
		    {model, messages: chat, ...more});

		return {
			Base: openai.APIError,
			plain: async (model) =>
			    (await create(model)).choices[0].message.content,
			stream: async (model, limit) => collect(
			    await create(model, {stream: true}),
			    (c) => c.choices[0]?.delta?.content, limit),
			tools: async (model) => {
				const message = (await create(model, {tools: [
				    {type: "function", function: {
					name: job.tool,
					parameters: {type: "object"}}}]}))
				    .choices[0].message;
				const call = message.tool_calls[0].function;

				return [call.name, JSON.parse(call.arguments)];
			},
		};
	};
}

const clients = {
	openai: openaiLike((key) => new openai.OpenAI(
	    {baseURL: job.url + "/v1", apiKey: key, maxRetries: 0})),
	azure: openaiLike((key) => new openai.AzureOpenAI(
	    {endpoint: job.url, apiKey: key, apiVersion: "2024-10-21",
	     maxRetries: 0})),
	anthropic: (key) => {
		const client = new anthropic.Anthropic(
		    {baseURL: job.url, apiKey: key, maxRetries: 0});
		const create = (model, more) => client.messages.create(
		    {model, max_tokens: 300, messages: chat, ...more});

		return {
			Base: anthropic.APIError,
			plain: async (model) =>
			    (await create(model)).content[0].text,
			stream: async (model, limit) => collect(
			    await create(model, {stream: true}),
			    (e) => e.delta?.text, limit),
			tools: async (model) => {
				const use = (await create(model, {tools: [
				    {name: job.tool,
				     input_schema: {type: "object"}}]}))
				    .content.at(-1);

				return [use.name, use.input];
			},
		};
	},
	gemini: (key) => {
		const models = new google.GoogleGenAI(
		    {apiKey: key, httpOptions: {baseUrl: job.url}}).models;

		return {
			Base: google.ApiError,
			plain: async (model) => (await models.generateContent(
			    {model, contents: ask})).text,
			stream: async (model, limit) => {
				const stop = new AbortController();

				return collect(
				    await models.generateContentStream(
					{model, contents: ask, config:
					    {abortSignal: stop.signal}}),
				    (c) => c.text, limit, () => stop.abort());
			},
			tools: async (model) => {
				const call = (await models.generateContent(
				    {model, contents: ask, config: {tools: [
					{functionDeclarations:
					    [{name: job.tool}]}]}}))
				    .functionCalls[0];

				return [call.name, call.args];
			},
		};
	},
	bedrock: (key) => {
		const client = new aws.BedrockRuntimeClient({
			region: "us-east-1", endpoint: job.url, maxAttempts: 1,
			token: {token: key},
			authSchemePreference: ["httpBearerAuth"],
			/* else it speaks HTTP/2 without asking */
			requestHandler: new http1.NodeHttpHandler(),
		});
		const request = (modelId, more) => ({modelId, messages:
		    [{role: "user", content: [{text: ask}]}], ...more});

		return {
			Base: aws.BedrockRuntimeServiceException,
			plain: async (model) => (await client.send(
			    new aws.ConverseCommand(request(model))))
			    .output.message.content[0].text,
			stream: async (model, limit) => collect(
			    (await client.send(new aws.ConverseStreamCommand(
				request(model)))).stream,
			    (e) => e.contentBlockDelta?.delta.text, limit,
			    () => client.destroy()),
			tools: async (model) => {
				const use = (await client.send(
				    new aws.ConverseCommand(request(model,
					{toolConfig: {tools: [{toolSpec: {
					    name: job.tool,
					    inputSchema: {json: {}}}}]}}))))
				    .output.message.content.at(-1).toolUse;

				return [use.name, use.input];
			},
		};
	},
};

/* What was raised: its class, whether it is the package's own, its status. */
async function raised(client, model) {
	try {
		await client.plain(model);
	} catch (e) {
		return {name: e.constructor.name, code: e.name,
			own: e instanceof client.Base,
			status: e.status ?? e.$metadata?.httpStatusCode,
			message: e.message};
	}
	return null;
}

async function run(dialect, what, action) {
	let said;

	try {
		said = {value: await action()};
	} catch (e) {
		said = {error: String(e.stack)};
	}
	console.log(JSON.stringify({dialect, what, ...said}));
}

async function main() {
	for (const [dialect, make] of Object.entries(clients)) {
		const models = job.models[dialect], client = make(job.key);
		const wrong = make("sk-hub-wrong");

		for (const what of ["plain", "stream", "tools"])
			await run(dialect, what, () => client[what](
			    models[what === "tools" ? "tools" : "short"]));
		await run(dialect, "wrong key",
		    () => raised(wrong, models.short));
		await run(dialect, "unknown",
		    () => raised(client, "no-such-model"));
		for (const what of ["bad", "limited", "failing"])
			await run(dialect, what,
			    () => raised(client, models[what]));
		await run(dialect, "left",
		    () => client.stream(models.long, enough));
	}
	process.exit(0);
}

main();
