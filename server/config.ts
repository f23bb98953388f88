import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

const MiB = 1024 * 1024;

/** Tokens of an answer where its request does not say how many it may have. */
export const DEFAULT_ANSWER_TOKENS = 256;

const limit = (value: number, description: string) => Type.Number({ minimum: 0, default: value, description });

/** Every limit of the server with its default and its reason; `ServerOptions` and the settings can override each. */
export const LimitsSchema = Type.Object(
  {
    uploadBytes: limit(4096 * MiB, 'Largest upload, in bytes. Four GiB holds three hours of ordinary 1080p video.'),
    uploadExpiry_s: limit(7 * 24 * 3600, 'An upload that received nothing for this long, in seconds in which the server ran, is deleted.'),
    claim_s: limit(3600, 'Seconds for which an upload that receives nothing keeps the room it declared; after that the room is free for others.'),
    diskRetry_s: limit(15, 'Seconds between looks at a disk that was full or could not be written.'),
    freeBytes: limit(64 * MiB, 'Bytes of the disk that uploads and encodes leave free, so that the database can always write.'),
    probe_s: limit(60, 'Seconds that looking at an uploaded file may take before it is refused.'),
    childSilence_s: limit(120, 'Seconds without a sign of life after which an encoder or a probe is ended. A step of a training on busy cores may take half a minute.'),
    readingTurn_s: limit(60, 'Seconds that one video may keep others from being read; after that they are read beside it.'),
    reading_s: limit(4 * 3600, 'Seconds that reading the frames of one video may take: four hours for 18,000 frames, on a busy machine.'),
    containerBytes: limit(256 * MiB, 'Largest `.linr` that may be uploaded, in bytes: its reader holds the whole file in memory.'),
    frameWidth: limit(3840, 'Longest side of a decoded frame, in pixels.'),
    decoderIdle_s: limit(120, "Seconds without a request after which the frame decoder's memory is given back."),
    searchIdle_s: limit(120, 'Seconds without a search or an answer after which the memory of the text tower, some 100 MB, is given back.'),
    searchQueue: limit(32, 'Searches and embeddings that may wait or run at once.'),
    embeddingInputs: limit(2048, "Texts and videos in one request for embeddings, as many as OpenAI's may have."),
    frameQueue: limit(64, 'Frames that may wait for the decoder.'),
    clip_s: limit(600, 'Seconds that one clip may show: ten minutes, which take about as long to cut.'),
    clipRun_s: limit(900, 'Seconds that cutting one clip may take.'),
    clipQueue: limit(16, 'Clips that may wait to be cut; they are cut one at a time.'),
    dataUrlBytes: limit(32 * MiB, 'Largest video in a `data:` address of a chat completion, in bytes: it is text in a JSON body, held in memory whole.'),
    remote_s: limit(120, 'Seconds that fetching a remote video may take.'),
    arrival_s: limit(120, 'Seconds that a chat completion waits for a video it brought along to become askable.'),
    bodyBytes: limit(2 * MiB, 'JSON bodies of plain HTTP routes, in bytes. Above 100,000 characters, so that a long question gets an error of its own.'),
    smallBodyBytes: limit(64 * 1024, 'A request body up to this many bytes is read without being counted.'),
    bodiesBytes: limit(96 * MiB, 'Bytes of larger request bodies held at once, each counted before it is read: two with the largest `data:` address.'),
    bodiesBytesPerClient: limit(48 * MiB, 'The part of these that one API key, or one address without keys, may have: one with the largest `data:` address.'),
    body_s: limit(120, 'Seconds that a request body may take to come, uploads of files apart.'),
    bodyIdle_s: limit(30, 'Seconds without a byte of a request body, or of an upload, after which its connection is closed.'),
    header_s: limit(30, 'Seconds that the headers of a request may take to come.'),
    connections: limit(4096, 'Connections open at once, four times the sockets; further ones are refused.'),
    connectionsPerAddress: limit(256, 'Connections from one address, loopback apart: a page has six and a socket, and an office shares an address. Raise it behind a proxy on another machine.'),
    questionChars: limit(6000, 'Longest text of one message, in characters: some 1,500 tokens of English, three pages.'),
    promptChars: limit(100_000, 'Characters of a conversation that are handed to the model, which keeps of them what its context holds. More than any context; it bounds the memory of questions that wait.'),
    requestMessages: limit(256, 'Messages in one chat completion request.'),
    videosPerChat: limit(8, 'Videos in one conversation.'),
    workerSilence_s: limit(30, 'Seconds without a sign of life after which the worker of the model, or of the frames, is ended and started again. The time inside a run of the model does not count.'),
    answerTokens: limit(512, 'Most tokens one answer may have. Where a request allows more, its answer ends here.'),
    replyQueue: limit(256, 'Replies that may wait for the model, all clients together.'),
    repliesPerSocket: limit(16, 'Replies that one socket may have waiting or running.'),
    messageBytes: limit(MiB, 'A socket message above this many bytes is answered with an error; the socket stays open.'),
    messageHardBytes: limit(2 * MiB, 'A socket message above this many bytes closes the socket with 1009 before it is read.'),
    unfinishedBytes: limit(64 * MiB, 'Bytes of unfinished socket messages, all sockets together; above, the socket that holds most is closed with 1013.'),
    eventsPerSecond: limit(50, 'Client events per second that one socket may send over a longer time.'),
    eventsBurst: limit(200, 'Client events that one socket may send at once.'),
    sockets: limit(1024, 'Sockets open at once.'),
    socketsPerKey: limit(128, 'Sockets of one API key open at once: it never has all of them.'),
    conversationsPerSocket: limit(64, 'Conversations that one socket may have open.'),
    itemsPerConversation: limit(1000, 'Messages that one conversation may hold.'),
    conversationBytes: limit(MiB, 'Bytes of the messages of one conversation: it is held in memory whole while a socket looks at it.'),
    conversationsPerKey: limit(10_000, 'Stored conversations that one API key, or everybody where there are no keys, may have.'),
    conversationBytesPerKey: limit(64 * MiB, 'Bytes of the stored conversations of one API key, or of everybody where there are no keys.'),
    conversationExpiry_s: limit(90 * 24 * 3600, 'A conversation that nobody went on with for this long, in seconds the server ran, is deleted.'),
    bufferedBytes: limit(256 * 1024, 'Unsent bytes of one socket above which its answers pause and its progress events are merged.'),
    slowReader_s: limit(60, 'A socket that reads nothing for this long while its buffer is full is closed with 4008, in seconds.'),
    heartbeat_s: limit(30, 'Seconds between heartbeat pings; a socket that misses two is closed.'),
    progressPerSecond: limit(4, 'Progress events per second and video.'),
    idle_s: limit(3600, 'A socket on which nothing was asked or answered for this long is closed with 4002, in seconds.'),
    keyRequestsPerMinute: limit(600, 'Requests and socket responses a minute that one API key may start, unless the key has a limit of its own.'),
    keyConcurrent: limit(16, 'Replies that one API key may have waiting or running, unless the key has a limit of its own.'),
    fileBytes: limit(128 * MiB, 'Largest file of batch questions, in bytes: 50,000 questions of some 2,500 characters.'),
    filesPerKey: limit(1000, 'Files that one API key, or everybody where there are no keys, may have.'),
    fileExpiry_s: limit(30 * 24 * 3600, 'Files, and batches that have ended, are deleted after this long, in seconds in which the server ran.'),
    batchLines: limit(50_000, "Questions in one batch, as many as OpenAI's may have."),
    batchLineBytes: limit(2 * MiB, 'Longest line of a file of batch questions, in bytes: each is held in memory whole.'),
    batchesPerKey: limit(100, 'Unfinished batches that one API key, or everybody where there are no keys, may have.'),
    batchConcurrent: limit(8, 'Lines of batches that are answered side by side, while nobody else asks anything.'),
    encodeCrashes: limit(3, 'Times an encode may take its process down before its video counts as failed.'),
    stop_s: limit(5, 'Seconds a graceful stop waits for running encodes to write their checkpoint.'),
    drain_s: limit(10, 'Seconds a graceful stop waits for answers that are being written; those that have not begun are given up.'),
  },
  { additionalProperties: false },
);
export type Limits = Readonly<Static<typeof LimitsSchema>>;

export const defaultLimits = Value.Default(LimitsSchema, {}) as Limits;
