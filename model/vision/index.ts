/** Vision towers and the map from their features to latents. */
export { fitLatentMap, type FitOptions, type FittedMap } from './fit-latent-map.js';
export { LatentMap, restoredFeatures } from './latent-map.js';
export { openFeatureTower, VisionTower, type VisionPack } from './tower.js';
export { featureShape, PublishedTower, towerProblems, towerSpecs, type FeatureTower, type Picture } from './feature-tower.js';
export { towerFileNames, towerFiles, type TowerFile } from './tower-files.js';
