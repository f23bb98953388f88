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
export { confidenceBy, testimonyFor, WITNESSES, type AnswerKind, type Confidence, type Evidence, type Testimony } from './confidence.js';
export { asksAboutTime, replyWithMoments, type AnnotatedReply, type AnswerOptions } from './moment-answers.js';
export type { MomentAnnotation, MomentFinder } from './moments.js';
export { askedSpan, stretchOf, type AskedSpan, type Span, type Stretch } from './span.js';
export { askedMoment } from './when.js';
