/** Every limit of the server with its default and its reason; `ServerOptions` of app.ts can override each. */
export interface Limits {
  /** Largest upload, in bytes. Four GiB holds three hours of ordinary 1080p video. */
  readonly uploadBytes: number;
  /** An upload that received nothing for this long, in seconds, is deleted. */
  readonly uploadExpiry_s: number;
  /** Bytes of the disk that uploads and encodes leave free, so that the database can always write. */
  readonly freeBytes: number;
  /** Seconds that looking at an uploaded file may take before it is refused. */
  readonly probe_s: number;
  /** Largest `.linr` that may be uploaded, in bytes: its reader holds the whole file in memory. */
  readonly containerBytes: number;
  /** Longest side of a decoded frame, in pixels. */
  readonly frameWidth: number;
  /** Seconds without a request after which the frame decoder's memory is given back. */
  readonly decoderIdle_s: number;
  /** Frames that may wait for the decoder. */
  readonly frameQueue: number;
  /** Largest video in a `data:` address of a chat completion, in bytes: it is text in a JSON body, held in memory whole. */
  readonly dataUrlBytes: number;
  /** Seconds that fetching a remote video may take. */
  readonly remote_s: number;
  /** Seconds that a chat completion waits for a video it brought along to become askable. */
  readonly arrival_s: number;
  /** JSON bodies of plain HTTP routes, in bytes. Above 100,000 characters, so that a long question gets an error of its own. */
  readonly bodyBytes: number;
  /** Longest text of one message, in characters: some 1,500 tokens of English, three pages. */
  readonly questionChars: number;
  /** Messages of one conversation that are sent to the model; older ones are left out of the prompt. */
  readonly promptMessages: number;
  /** Characters of the messages sent to the model, together: some 4,000 tokens of its context of 8,192. */
  readonly promptChars: number;
  /** Messages in one chat completion request. */
  readonly requestMessages: number;
  /** Videos in one conversation. */
  readonly videosPerChat: number;
  /** Most tokens one answer may have. */
  readonly answerTokens: number;
  /** Replies that may wait for the model, all clients together. */
  readonly replyQueue: number;
  /** Replies that one socket may have waiting or running. */
  readonly repliesPerSocket: number;
  /** A socket message above this many bytes is answered with an error; the socket stays open. */
  readonly messageBytes: number;
  /** A socket message above this many bytes closes the socket with 1009 before it is read. */
  readonly messageHardBytes: number;
  /** Client events per second that one socket may send over a longer time, and at once. */
  readonly eventsPerSecond: number;
  readonly eventsBurst: number;
  /** Sockets open at once. */
  readonly sockets: number;
  /** Conversations that one socket may have open. */
  readonly conversationsPerSocket: number;
  /** Messages that one conversation may hold. */
  readonly itemsPerConversation: number;
  /** Unsent bytes of one socket above which its answers pause and its progress events are merged. */
  readonly bufferedBytes: number;
  /** A socket that reads nothing for this long while its buffer is full is closed with 4008, in seconds. */
  readonly slowReader_s: number;
  /** Seconds between heartbeat pings; a socket that misses two is closed. */
  readonly heartbeat_s: number;
  /** Progress events per second and video. */
  readonly progressPerSecond: number;
  /** Times an encode may take its process down before its video counts as failed. */
  readonly encodeCrashes: number;
  /** Seconds a graceful stop waits for running encodes to write their checkpoint. */
  readonly stop_s: number;
}

const MiB = 1024 * 1024;

export const defaultLimits: Limits = {
  uploadBytes: 4096 * MiB,
  uploadExpiry_s: 7 * 24 * 3600,
  freeBytes: 64 * MiB,
  probe_s: 60,
  containerBytes: 256 * MiB,
  frameWidth: 3840,
  decoderIdle_s: 120,
  frameQueue: 64,
  dataUrlBytes: 32 * MiB,
  remote_s: 120,
  arrival_s: 120,
  bodyBytes: 2 * MiB,
  questionChars: 6000,
  promptMessages: 24,
  promptChars: 16_000,
  requestMessages: 256,
  videosPerChat: 8,
  answerTokens: 512,
  replyQueue: 256,
  repliesPerSocket: 16,
  messageBytes: MiB,
  messageHardBytes: 8 * MiB,
  eventsPerSecond: 50,
  eventsBurst: 200,
  sockets: 1024,
  conversationsPerSocket: 64,
  itemsPerConversation: 1000,
  bufferedBytes: 256 * 1024,
  slowReader_s: 60,
  heartbeat_s: 30,
  progressPerSecond: 4,
  encodeCrashes: 3,
  stop_s: 5,
};
