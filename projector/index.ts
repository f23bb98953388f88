/** From latents to answers. */
export type { Likelihood } from '../model/language/index.js';
export { ChatModel, type ChatModelOptions, type ReplyOptions, type ReplyResult, type TextRank } from './chat-model.js';
export { checkFeatureSpace, PromptError, type ChatMessage, type ContentPart, type TextPart, type VideoPart } from './messages.js';
export { buildPrompt, chooseFrames } from './prompt.js';
export { buildProjector, Projector, type ProjectorShape } from './network.js';
export { videoProjectorSpecs } from './video-llama.js';
export { initialProjector, projectorShapes, projectorTensors } from './initialise.js';
export { cutVideo } from './cut.js';
export { focusOf, type Focus } from './focus.js';
export { ChoiceScorer } from './choices.js';
export { CAPTION_BEAMS, captionSearch, type Likeness } from './captions.js';
export { asksAboutTime, replyWithMoments, type AnnotatedReply, type MomentAnnotation, type MomentFinder } from './moment-answers.js';
export { askedSpan, stretchOf, type AskedSpan, type Span, type Stretch } from './span.js';
export { askedMoment } from './when.js';
