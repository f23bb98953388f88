/** Vision towers and the map from their features to latents. */
export { LatentMap } from './latent-map.js';
export { openFeatureTower, VisionTower, type VisionPack } from './tower.js';
export { featureShape, PublishedTower, towerProblems, towerSpecs, type FeatureTower, type Picture } from './feature-tower.js';
