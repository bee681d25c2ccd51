package confine

const confinedBySystem = true
