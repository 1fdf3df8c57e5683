"""Classical saliency models: Itti and Koch, GBVS, BMS, the spectral residual."""
