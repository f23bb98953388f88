/**
 * latentchat in Node: a video becomes a `.linr` file, which is the video, its search index and a prompt.
 *
 * Models are loaded when they are first needed, once for all calls, and do not keep a program alive; `releaseModels()` gives their memory
 * back. Every error that a caller can act upon is a {@link CodedError} with a stable `code`; an aborted call throws its signal's reason.
 */
export { encode, encodeLatents, type EncodeLatentsOptions, type EncodeOptions } from './projector/library/encode.node.js';
export type { EncodeFileReport } from './model/encoding/encode-file.node.js';
export type { EncodeProgress } from './model/inr/progress.js';
export type { Preset } from './model/inr/plan.js';

export { openLinr, type OpenLinrOptions } from './model/video/open.node.js';
export { LinrVideo, type FrameOptions } from './model/video/linr-video.js';
export { LinrDecoder, type Between, type LinrSource } from './model/inr/decoder.js';
export type { ContainerMeta } from './model/container/index.js';
export type { Frame } from './model/frames/index.js';

export { decode, type DecodeOptions, type DecodeReport } from './model/video/decode.node.js';

export { answer, ask, type Answer, type AskedVideo, type AskOptions } from './projector/library/ask.node.js';
export { ChatModel, type ChatModelOptions, type ReplyOptions, type ReplyResult } from './projector/chat-model.js';
export type { ChatMessage, ContentPart, TextPart, VideoPart } from './projector/messages.js';
export type { Confidence } from './projector/confidence.js';
export type { MomentAnnotation } from './projector/moments.js';

export { search, type Searchable } from './projector/library/search.node.js';
export type { Scope, SearchOptions, VideoHit } from './model/retrieval/index.js';

export { defaultPackFolder, ModelPack, openPack } from './model/pack/open.node.js';
export { releaseModels, type ModelsOptions } from './projector/library/shared-models.node.js';
export { nodeRuntime, type NodeRuntimeOptions } from './model/runtime/node.node.js';
export type { Runtime } from './model/runtime/types.js';

export { CodedError } from './model/runtime/coded-error.js';
export { DeviceError } from './model/runtime/device.node.js';
export { ContainerError, type ContainerErrorCode } from './model/container/index.js';
export { LinrDecodeError, type LinrDecodeErrorCode } from './model/inr/decode-error.js';
export { FrameSourceError, type FrameSourceErrorCode } from './model/frames/index.js';
export { OutputError } from './model/video/output.node.js';
export { ContextError, SchemaError } from './model/language/index.js';
export { PackError, TensorFileError, type PackErrorCode } from './model/pack/index.js';
export { PromptError } from './projector/messages.js';
export { SearchError } from './projector/library/search.js';
