/** Search: texts and frames as vectors of one space, and moments from their cosines. */
export { canSearch, LatentTower, queryText, TextTower } from './retrieval.js';
export { cosines, meanVector, packVectors, scalesOf, vectorOf, type FrameVectors } from './frame-vectors.js';
export { BestHits, hitsOf, SCOPES, type Hit, type Scope } from './hits.js';
export { findMoments, type Moment, type MomentOptions } from './moments.js';
export { buildTower, type TowerShape } from './tower.js';
export { MomentSearch, momentsOf, type FoundMoments, type IndexedVideo, type MomentQuery, type SearchableVideo } from './moment-search.js';
export { searchVideos, type SearchedVideo, type SearchOptions, type SearchQuery, type VideoHit } from './search.js';
