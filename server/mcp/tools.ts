/** The tools: what a model reads about each, what it takes and what it gives. */
import Type, { type Static, type TObject, type TProperties } from 'typebox';
import { MAX_DURATION_S } from '../../model/frames/limits.js';
import { pickVideo, ToolError, type ListedVideo, type Stretch, type VideoTools } from './backend.js';

/** Shots that get a caption in one call: each takes about a second of two cores. */
const MOST_MOMENTS = 50;
const DEFAULT_MOMENTS = 12;
/** Videos in one list: a longer one would fill the caller's context. */
const MOST_LISTED = 500;
const DEFAULT_LISTED = 100;
const MOST_FOUND = 50;
const DEFAULT_FOUND = 10;
/** Characters: more than the server takes as a question. */
const LONGEST_TEXT = 20_000;

const strict = { additionalProperties: false };
const seconds = (description: string) => Type.Number({ description });
const videoField = Type.String({ minLength: 1, maxLength: 1024, description: 'Id of a video from list_videos, or its name where only one video has it.' });
const from_s = Type.Optional(Type.Number({ minimum: 0, description: 'Seconds from the start of the video. Default: 0.' }));
const to_s = Type.Optional(Type.Number({ minimum: 0, description: 'Seconds from the start of the video. Default: its end.' }));

/** What a tool is called with besides its arguments. */
export interface ToolCall {
  readonly videos: VideoTools;
  /** Aborted when the caller gave up. */
  readonly signal: AbortSignal;
  /** Tells the caller how far it is. */
  progress(done: number, total: number, message: string): void;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: TObject;
  readonly output: TObject;
  /** True for a tool that writes a file. */
  readonly writes?: true;
  /** @throws Error in a sentence for people */
  run(call: ToolCall, input: unknown): Promise<Record<string, unknown>>;
}

interface ToolDefinition<I extends TProperties, O extends TProperties> extends Omit<Tool, 'input' | 'output' | 'run'> {
  readonly input: TObject<I>;
  readonly output: TObject<O>;
  run(call: ToolCall, input: Static<TObject<I>>): Promise<Static<TObject<O>>>;
}

/** Input is checked against `input` before `run` sees it. */
function tool<I extends TProperties, O extends TProperties>(definition: ToolDefinition<I, O>): Tool {
  return definition as unknown as Tool;
}

const listVideos = tool({
  name: 'list_videos',
  title: 'List videos',
  description: 'Lists the videos and photos that can be searched and asked about, newest first. Call this first: the other tools name a video by its id.',
  input: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_LISTED, description: `Most videos. Default ${DEFAULT_LISTED}.` })) }, strict),
  output: Type.Object({
    videos: Type.Array(
      Type.Object({
        id: Type.String(),
        name: Type.String({ description: 'The file name.' }),
        kind: Type.Enum(['video', 'photo']),
        duration_s: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds; null where it is not known yet.' }),
        askable: Type.Boolean({ description: 'False: it is still being read, or cannot be read; state says which.' }),
        state: Type.String(),
      }),
    ),
    total: Type.Integer({ description: 'How many there are in all.' }),
  }),
  async run({ videos, signal }, { limit = DEFAULT_LISTED }) {
    const all = await videos.list(signal);
    return { videos: all.slice(0, limit).map(({ id, name, kind, duration_s, askable, state }) => ({ id, name, kind, duration_s, askable, state })), total: all.length };
  },
});

const search = tool({
  name: 'search',
  title: 'Search moments',
  description:
    'Finds the moments in the videos that look most like a description, best first, with their start and end in seconds. It sees pictures only: describe what would be seen ("a dog on a beach"), ' +
    'not what is said or read. Something is always found: compare scores within one search, and check a doubtful hit with ask or caption.',
  input: Type.Object(
    {
      query: Type.String({ minLength: 1, maxLength: LONGEST_TEXT, description: 'What to look for, in English words.' }),
      videos: Type.Optional(Type.Array(videoField, { minItems: 1, maxItems: 1000, description: 'Where to look. Default: in all videos.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_FOUND, description: `Most moments. Default ${DEFAULT_FOUND}.` })),
    },
    strict,
  ),
  output: Type.Object({
    moments: Type.Array(
      Type.Object({
        video: Type.String({ description: 'Id of the video.' }),
        name: Type.String(),
        start_s: seconds('Seconds from the start of the video.'),
        end_s: seconds('Seconds from the start of the video.'),
        score: Type.Number({ description: 'From -1 to 1, comparable within one search.' }),
      }),
    ),
  }),
  async run({ videos, signal }, { query, videos: wanted, limit = DEFAULT_FOUND }) {
    const all = wanted === undefined ? [] : await videos.list(signal);
    const ids = wanted?.map((one) => pickVideo(all, one).id) ?? null;
    const found = await videos.search(query, ids, limit, signal);
    return { moments: found.map(({ video, name, start_s, end_s, score }) => ({ video, name, start_s, end_s, score })) };
  },
});

const ask = tool({
  name: 'ask',
  title: 'Ask about a video',
  description:
    'Asks one question about a video or a photo, in English, and gives the answer of a small vision-language model. It sees pictures and hears nothing. A question may name its time ("What happens at 0:30?", "between 5 and 10 seconds", ' +
    '"at the end") or ask for it ("When does a dog appear?"). Each call stands alone: put what matters from earlier answers into the question. The model is small and can be wrong about colors, counts and details.',
  input: Type.Object(
    {
      video: videoField,
      question: Type.String({ minLength: 1, maxLength: LONGEST_TEXT, description: 'The question, in English.' }),
      max_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 512, description: 'Most tokens of the answer. Default 256.' })),
    },
    strict,
  ),
  output: Type.Object({
    video: Type.String({ description: 'Id of the video.' }),
    answer: Type.String(),
    moments: Type.Array(Type.Object({ start_s: seconds('Seconds.'), end_s: seconds('Seconds.') }), { description: 'The moments that the answer speaks of.' }),
    complete: Type.Boolean({ description: 'False: the answer was cut off at max_tokens.' }),
  }),
  async run({ videos, signal }, { video, question, max_tokens = null }) {
    const { id } = pickVideo(await videos.list(signal), video);
    const { answer, moments, complete } = await videos.ask(id, question, max_tokens, signal);
    return { video: id, answer, moments: moments.map(({ start_s, end_s }) => ({ start_s, end_s })), complete };
  },
});

const caption = tool({
  name: 'caption',
  title: 'Caption a video',
  description: 'Describes in one sentence what is seen in a video or photo, or in a part of a video between two times.',
  input: Type.Object({ video: videoField, from_s, to_s }, strict),
  output: Type.Object({ video: Type.String({ description: 'Id of the video.' }), start_s: seconds('Start of what is described.'), end_s: seconds('End of what is described.'), caption: Type.String() }),
  async run({ videos, signal }, { video, from_s, to_s }) {
    const found = pickVideo(await videos.list(signal), video);
    const part = from_s === undefined && to_s === undefined ? null : partOf(found, from_s, to_s);
    const { start_s, end_s, caption: text } = await videos.caption(found, part, signal);
    return { video: found.id, start_s, end_s, caption: text };
  },
});

const moments = tool({
  name: 'moments',
  title: 'Moments of a video',
  description:
    'Tells what is seen in a video from shot to shot: each shot with its start and end in seconds and one sentence. Nothing is transcribed. A sentence takes about a second; for a long video take a part with from_s and to_s, ' +
    'or go on from the last end_s while more is true.',
  input: Type.Object(
    { video: videoField, from_s, to_s, limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_MOMENTS, description: `Most shots. Default ${DEFAULT_MOMENTS}.` })) },
    strict,
  ),
  output: Type.Object({
    video: Type.String({ description: 'Id of the video.' }),
    moments: Type.Array(Type.Object({ start_s: seconds('Seconds.'), end_s: seconds('Seconds.'), caption: Type.String() })),
    more: Type.Boolean({ description: 'True: there are further shots after the last one; ask again with its end_s as from_s.' }),
  }),
  async run({ videos, signal, progress }, { video, from_s, to_s, limit = DEFAULT_MOMENTS }) {
    const found = pickVideo(await videos.list(signal), video);
    const part = partOf(found, from_s, to_s);
    const all = await videos.shots(found.id, signal);
    const shots = all.length === 1 ? all : all.filter(({ start_s, end_s }) => end_s > part.start_s && start_s < part.end_s);
    const shown = shots.slice(0, limit);
    const told: { start_s: number; end_s: number; caption: string }[] = [];
    for (const shot of shown) {
      progress(told.length, shown.length, `describing shot ${told.length + 1} of ${shown.length}`);
      const { caption: text } = await videos.caption(found, all.length === 1 ? null : shot, signal);
      told.push({ start_s: shot.start_s, end_s: shot.end_s, caption: text });
    }
    return { video: found.id, moments: told, more: shots.length > limit };
  },
});

const cutClip = tool({
  name: 'cut_clip',
  title: 'Cut a clip',
  description: 'Cuts a part of a video into an MP4 file, accurate to the frame and without sound, and tells where it is: the path of a file, or an address to fetch it from. The video itself is not changed.',
  input: Type.Object({ video: videoField, from_s: Type.Number({ minimum: 0, description: 'Where it begins, in seconds.' }), to_s: Type.Number({ minimum: 0, description: 'Where it ends, in seconds.' }) }, strict),
  output: Type.Object({ video: Type.String({ description: 'Id of the video.' }), clip: Type.String({ description: 'Path or address of the MP4 file.' }), start_s: seconds('Seconds.'), end_s: seconds('Seconds.') }),
  writes: true,
  async run({ videos, signal }, { video, from_s, to_s }) {
    const found = pickVideo(await videos.list(signal), video);
    const part = partOf(found, from_s, to_s);
    return { video: found.id, clip: await videos.clip(found, part, signal), ...part };
  },
});

/** @throws ToolError for times that are no part of the video */
function partOf({ duration_s, name }: ListedVideo, from_s = 0, to_s = duration_s ?? MAX_DURATION_S): Stretch {
  if (from_s > 0 && duration_s !== null && from_s >= duration_s) throw new ToolError(`"${name}" ends at ${duration_s.toFixed(1)} s; from_s must be before that.`);
  if (to_s <= from_s && duration_s !== 0) throw new ToolError('to_s must be after from_s.');
  return { start_s: from_s, end_s: Math.min(to_s, duration_s ?? to_s) };
}

export const tools: readonly Tool[] = [listVideos, search, ask, caption, moments, cutClip];
