/** What an operator can set, by file, environment and flags: one schema, from which all three and their page are made. */
import { DEVICE_CHOICES } from '../model/runtime/device-choice.js';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { PRESETS } from '../model/inr/plan.js';
import { defaultLimits, LimitsSchema } from './config.js';
import type { ServerOptions } from './index.js';

const LIBRARIES = ['owned', 'shared'] as const;
/** An entry of remoteHosts: a scheme, a star, a name or an IP address, a port. */
const HOST_ENTRY = '^(https?://)?((\\*\\.)?[^/:*@?#\\[\\]\\s]+|\\[[0-9A-Fa-f:.]+\\])(:\\d+)?$';
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export const SettingsSchema = Type.Object(
  {
    port: Type.Integer({ minimum: 0, maximum: 65_535, default: 7860, description: '0 takes any free port' }),
    host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'address to listen on; without API keys always a loopback one' }),
    data: Type.String({ minLength: 1, default: 'data', description: 'folder where videos, conversations and API keys are kept' }),
    pack: Type.Optional(Type.String({ minLength: 1, description: 'model pack to use (default: the one that comes with latentchat)' })),
    threads: Type.Optional(Type.Integer({ minimum: 1, maximum: 64, description: 'processor threads of the networks (default: two)' })),
    context: Type.Optional(
      Type.Integer({
        minimum: 256, maximum: 1_000_000,
        description: "tokens of the longest conversation that the model is shown, answer included; at most the pack's (default: as many as take 192 MiB, 4096 with the default pack)",
      }),
    ),
    preset: Type.Optional(Type.Enum([...PRESETS], { description: 'how uploads are encoded (default: standard)' })),
    seconds: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: "time for encoding an upload (default: the preset's)" })),
    device: Type.Enum([...DEVICE_CHOICES], { default: 'auto', description: 'what encodes: the processor (cpu), WebGPU, or, once timed on this machine, the faster of them' }),
    logLevel: Type.Enum([...LOG_LEVELS], { default: 'warn', description: 'what is logged to standard output, as JSON lines; texts of users never are' }),
    open: Type.Boolean({ default: false, description: 'ask for no API key any more, after the last one was removed or the key file was lost' }),
    library: Type.Enum([...LIBRARIES], { default: 'owned', description: 'whose videos a key sees: its own and nobody\'s (owned), or all (shared)' }),
    corsOrigins: Type.Array(Type.String({ pattern: '^https?://[^/]+$' }), { default: [], description: 'origins whose pages may use the API, such as https://example.com' }),
    publicUrls: Type.Array(Type.String({ pattern: '^https?://[^/?#]+(/[^?#]*)?$' }), {
      default: [],
      description: 'addresses at which a proxy in front offers this server, such as https://example.com/video/ (docs/proxy.md)',
    }),
    trustProxy: Type.Array(Type.String({ pattern: '^(loopback|linklocal|uniquelocal|[0-9a-fA-F:.]+(/[0-9]{1,3})?)$' }), {
      default: [],
      description: 'proxies that are believed when they say whom they speak for (X-Forwarded-For): addresses, networks such as 10.0.0.0/8, or loopback',
    }),
    remoteHosts: Type.Array(Type.String({ pattern: HOST_ENTRY }), {
      default: [],
      description: 'hosts that videos may be fetched from, by https: example.com, example.com:8443, [2001:db8::1], or *.example.com for all names below it; http://example.com allows plain http',
    }),
    limits: Type.Partial(LimitsSchema, { additionalProperties: false, default: {}, description: 'limits that differ from their defaults' }),
  },
  { additionalProperties: false },
);
export type Settings = Static<typeof SettingsSchema>;

/** Where a value came from, for errors: a file's path, the name of a variable or of a flag. */
export interface SettingsSource {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Wrong usage, told in one sentence that names the source and the field. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export interface Field {
  /** As in the file; limits are `limits.<name>`. */
  readonly path: string;
  readonly variable: string;
  readonly flag: string;
  readonly schema: TSchema & { readonly description?: string; readonly default?: unknown };
}

/** Every single setting with the names it has as a variable and as a flag. */
export const fields: readonly Field[] = [
  ...Object.entries(SettingsSchema.properties).filter(([name]) => name !== 'limits').map(([name, schema]) => fieldOf(name, name, schema)),
  ...Object.entries(LimitsSchema.properties).map(([name, schema]) => fieldOf(`limits.${name}`, `limit-${name}`, schema)),
];

function fieldOf(path: string, name: string, schema: TSchema): Field {
  const words = name.replace(/([a-z])([A-Z])/g, '$1-$2').replaceAll('_', '-').toLowerCase();
  // LATENTCHAT_DATA and others name things of the tests: the server's variables have a prefix of their own.
  return { path, variable: `LATENTCHAT_SERVER_${words.replaceAll('-', '_').toUpperCase()}`, flag: `--${words}`, schema };
}

/** A text of the environment or the command line as its field's type has it; lists have commas between. Throws SettingsError. */
export function parseField({ schema, path }: Field, text: string, source: string): unknown {
  const kind = (schema as { type?: unknown }).type;
  let value: unknown = text;
  if (kind === 'number' || kind === 'integer') value = text.trim() === '' ? Number.NaN : Number(text);
  if (kind === 'boolean' && (text === 'true' || text === 'false')) value = text === 'true';
  if (kind === 'array') value = text.split(',').map((part) => part.trim()).filter((part) => part !== '');
  check(schema, value, path, source);
  return value;
}

/** The settings of the environment's LATENTCHAT_SERVER_ variables. Throws SettingsError, also for one that does not exist. */
export function environmentSource(environment: Readonly<Record<string, string | undefined>>): SettingsSource {
  const values: Record<string, unknown> = {};
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('LATENTCHAT_SERVER_') || text === undefined) continue;
    const field = fields.find((known) => known.variable === variable);
    if (!field) throw new SettingsError(`There is no setting ${variable}; docs/configuration.md lists those there are.`);
    values[field.path] = parseField(field, text, variable);
  }
  return { name: 'environment', values };
}

/** The settings of a JSON file, given as its text. Throws SettingsError naming the field that is wrong. */
export function fileSource(name: string, text: string): SettingsSource {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new SettingsError(`${name} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  check(Type.Partial(SettingsSchema, { additionalProperties: false }), parsed, '', name);
  const { limits = {}, ...others } = parsed as Partial<Settings>;
  return { name, values: { ...others, ...Object.fromEntries(Object.entries(limits).map(([field, value]) => [`limits.${field}`, value])) } };
}

/** Later sources go before earlier ones; what none of them sets has its default. */
export function mergeSettings(sources: readonly SettingsSource[]): Settings {
  const values = Object.assign({}, ...sources.map((source) => source.values)) as Record<string, unknown>;
  const settings: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  for (const { path, schema } of fields) {
    const value = values[path] ?? (path.startsWith('limits.') ? undefined : schema.default);
    if (value === undefined) continue;
    if (path.startsWith('limits.')) limits[path.slice('limits.'.length)] = value;
    else settings[path] = value;
  }
  // Every value was checked where it came from.
  return { ...settings, limits } as Settings;
}

/** Everything that is set and every default, as --print-config shows it. */
export function completeSettings(settings: Settings): Settings {
  return { ...settings, limits: { ...defaultLimits, ...settings.limits } };
}

/** The settings as `startServer` takes them. */
export function serverOptions(settings: Settings, packDir: string): ServerOptions {
  const { port, host, data, threads, context, preset, seconds, device, logLevel, open, library, corsOrigins, publicUrls, trustProxy, remoteHosts, limits } = settings;
  return {
    port,
    host,
    dataDir: data,
    packDir: settings.pack ?? packDir,
    logLevel,
    open,
    library,
    corsOrigins,
    publicUrls,
    trustProxy,
    remoteHosts,
    // A partial object of numbers without undefined: what `limits` of the options is.
    limits: limits as NonNullable<ServerOptions['limits']>,
    ...(threads === undefined ? {} : { threads }),
    ...(context === undefined ? {} : { context }),
    encode: { ...(preset === undefined ? {} : { preset }), ...(seconds === undefined ? {} : { seconds }), device },
  };
}

/** The lines of the table in docs/configuration.md. */
export function settingsTable(): string[] {
  const shown = (value: unknown): string => (value === undefined || (Array.isArray(value) && value.length === 0) ? '-' : `\`${String(value)}\``);
  return [
    '| file | environment | flag | default | |',
    '|---|---|---|---|---|',
    ...fields.map(({ path, variable, flag, schema }) => `| \`${path}\` | \`${variable}\` | \`${flag}\` | ${shown(schema.default)} | ${schema.description ?? ''} |`),
  ];
}

function check(schema: TSchema, value: unknown, path: string, source: string): void {
  const validator = Compile(schema);
  if (validator.Check(value)) return;
  const issue = validator.Errors(value)[0];
  const inside = (issue?.instancePath ?? '').split('/').filter((part) => part !== '').join('.');
  // The validator's way to say that a field is none of those there are.
  if (issue?.keyword === 'boolean') throw new SettingsError(`${source}: there is no setting "${inside}"; docs/configuration.md lists those there are.`);
  const params = issue?.params as { allowedValues?: readonly unknown[] } | undefined;
  const field = [path, inside].filter((part) => part !== '').join('.');
  const rule = params?.allowedValues ? `must be one of ${params.allowedValues.join(', ')}` : (issue?.message ?? 'is not valid');
  throw new SettingsError(field === '' ? `${source} ${rule}.` : `${source}: "${field}" ${rule}.`);
}
